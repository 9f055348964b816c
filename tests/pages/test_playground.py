"""Tests of the playground in a browser, opened from a file: it judges as the reference and the suite do."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
import yaml
from playwright.sync_api import Browser, ConsoleMessage, Page, Request

import schemas
from conformance import codec, validation
from reference.core.errors import BadMessage
from reference.core.phases import Phase
from reference.core.wire import decode
from tools.chapters import chapters
from tools.site import __main__ as building
from tools.site import assembly, bundle, configuration, messages, playground
from tools.site.examples import examples
from tools.site.faults import faults
from tools.site.linking import Linking

ROOT = Path(__file__).resolve().parents[2]
VECTORS = ROOT / "tests" / "vectors"
NEEDED = (
    "assets/",
    "index.md",
    "spec/wire.md",
    "schemas/README.md",
    "schemas/Hangup.md",
    "schemas/playground.",
    "schemas/examples/Hangup/",
)
LIMIT = 60
"""Seconds after which a builder that does not end is broken."""
PATIENCE = 10_000
"""Milliseconds after which a page that does not answer is broken."""
NEWEST = schemas.PHASES[-1]
JUDGE = """texts => texts.map(text => {
  try {
    return {verdicts: directcall.judge(text).verdicts};
  } catch (error) {
    if (!(error instanceof directcall.Malformed)) throw error;
    return {malformed: error.message, rule: error.rule, ...directcall.position(text, error.offset)};
  }
})"""
MALFORMED: Sequence[tuple[str, int, int, str]] = (
    ("", 1, 1, "a value is missing: here is the end of the text"),
    ("\ufeff1", 1, 1, "a byte order mark stands in front"),
    ('{"Ping":\n {"timestamp_ms": 1,}}', 2, 21, 'the name of a member is missing: here is "}"'),
    ('{"Ping": {"timestamp_ms" 1}}', 1, 26, 'a colon is missing behind a name: here is "1"'),
    ('{"Ping": {"timestamp_ms": 1}', 1, 29, "a comma or } is missing: here is the end of the text"),
    ('{"Ping": {"timestamp_ms": 1}} x', 1, 31, '"x" stands behind the value'),
    ('{"Ping": {"a": 1,\n"a": 2}}', 2, 1, 'an object has the member "a" twice'),
    (
        '{"Ping": {"\U0001f600": 1, "\\ud83d\\ude00": 2}}',
        1,
        19,
        'an object has the member "\U0001f600" twice',
    ),
    ('{"__proto__": 1, "__proto__": 2}', 1, 18, 'an object has the member "__proto__" twice'),
    ('{"Ping": {"timestamp_ms": 01}}', 1, 27, "no number is written like 01"),
    ('{"Ping": {"timestamp_ms": +1}}', 1, 27, 'a value is missing: here is "+"'),
    ('{"Ping": {"timestamp_ms": 1.}}', 1, 27, "no number is written like 1."),
    ('{"Ping": {"timestamp_ms": -}}', 1, 27, "a minus sign stands without digits"),
    ('{"Ping": {"timestamp_ms": 1e999}}', 1, 27, "the number 1e999 is outside the range of a double"),
    ('{"Ping": {"timestamp_ms": NaN}}', 1, 27, "a value is missing: here is NaN"),
    ("{'Ping': {}}", 1, 2, 'the name of a member is missing: here is "\'"'),
    ('"\\ud800"', 1, 1, '"\\ud800" has a lone surrogate'),
    ('"Ref\\xlect"', 1, 6, "no escape is written \\x"),
    ('"Ref\\u12g4"', 1, 6, "\\u is not followed by four hexadecimal digits"),
    ('"Ref\nlect"', 1, 5, 'a string has "\\n", which has to be escaped'),
    ('"Reflect', 1, 1, "a string does not end"),
    ("[" * 65 + "]" * 65, 1, 65, "more than 64 objects and arrays are open at once"),
    (f'"{"a" * 1_048_576}"', 1, 1, "the payload has 1048578 bytes, over the limit of 1048576"),
)
"""Texts that are no payload: the line and the column of the fault, and what is said of it."""
SPELLED: Sequence[tuple[str, str]] = (
    ("1", ""),
    ("18446744073709551615", ""),
    ("18446744073709551616", "18446744073709551616 is over 18446744073709551615"),
    ("1.0", "1.0 is not written as an integer"),
    ("1e2", "1e2 is not written as an integer"),
    ("-0", "-0 is not written as an integer"),
    ("-1", "-1 is under 0"),
    ("1.5", "1.5 is not an integer"),
    ("true", "true is not an integer"),
    ("null", "null is not an integer"),
)
"""Numbers of a Ping as they are written, and what is wrong with each."""


@pytest.fixture(scope="module")
def site(chromium: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The pages about the schemas, built as the site is; without a browser or npm nothing is built."""
    del chromium
    pages: assembly.Pages = {
        **{f"assets/{one.name}": one.read_bytes() for one in (assembly.DOCS / "assets").iterdir()},
        "index.md": "# Home",
        "spec/wire.md": assembly.anchored(chapters()["wire"]),
        **messages.pages(),
        **playground.pages(),
    }
    if f"schemas/{bundle.NAME}" not in pages:
        pytest.skip("the playground is not opened: there is no npm here, or no network for it")
    linking = Linking(frozenset(pages), [])  # what leads to the rest of the site is no matter here
    wanted = {
        path: linking.linked(path, content) if isinstance(content, str) else content
        for path, content in pages.items()
        if path.startswith(NEEDED)
    }
    out = tmp_path_factory.mktemp("site")
    building.write(wanted, out / "docs")
    settings = yaml.safe_load(configuration.written(wanted)) | {"plugins": []}  # search asks for a server
    (out / "mkdocs.yml").write_text(yaml.safe_dump(settings), encoding="utf-8")
    command = [sys.executable, "-m", "mkdocs", "build", "--quiet", "--config-file", str(out / "mkdocs.yml")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=LIMIT, check=False)  # noqa: S603 - our own
    assert 0 == done.returncode, done.stdout + done.stderr
    return out / "site"


@pytest.fixture(scope="module")
def verdicts(shared: Page) -> dict[str, dict[str, Any]]:
    """What the page says of every text, asked at once."""
    judged = sorted(set(texts()))
    said: list[dict[str, Any]] = shared.evaluate(JUDGE, judged)
    return dict(zip(judged, said, strict=True))


@pytest.fixture(scope="module")
def shared(browser: Browser, site: Path) -> Iterator[Page]:
    """The page of the playground, opened from its file; it has no error and asks for nothing outside."""
    page = browser.new_page()
    page.set_default_timeout(PATIENCE)
    told: list[str] = []

    def complain(message: ConsoleMessage) -> None:
        told.append(f"{message.type}: {message.text} ({message.location})")

    def ask(asked: Request) -> None:
        if not asked.url.startswith((site.as_uri(), "data:")):
            told.append(f"asks for {asked.url[:80]}")

    page.on("console", complain)
    page.on("pageerror", lambda error: told.append(str(error)))
    page.on("request", ask)
    page.goto(address(site))
    yield page
    page.close()
    assert set() == set(told)


def address(site: Path, place: str = "") -> str:
    """Return the address of the page, and of a place in it."""
    return f"{(site / 'schemas' / 'playground.html').as_uri()}{place}"


def texts() -> list[str]:
    """Return every message of the vectors and of the examples, and what deployed parsers were tried with."""
    messages = json.loads((VECTORS / "messages.json").read_text("utf-8"))["messages"]
    parsed = json.loads((VECTORS / "parse.json").read_text("utf-8"))
    found = [one.text for those in examples().values() for one in those]
    found += [json.dumps(one["json"], ensure_ascii=False) for one in messages]
    found += [one["text"] for one in messages if "text" in one]
    found += [one["input_text"] for one in (*parsed["cases"], *parsed["phase_cases"])]
    return found


def expected(text: str) -> list[tuple[str, bool, bool]]:
    """Return for each phase whether it could send a text (the suite), and takes it (the reference)."""
    content = text.encode()
    try:
        message = codec.decode(content)
    except codec.NotAMessageError:
        message = None
    verdicts = []
    for phase in schemas.PHASES:
        taken = True
        try:
            decode(content, Phase(phase))
        except BadMessage:
            taken = False
        sent = taken and message is not None and not list(validation.faults(message, phase, "emit"))
        verdicts.append((phase, sent, taken))
    return verdicts


def given(verdict: dict[str, Any]) -> list[tuple[str, bool, bool]]:
    """Return the same of what the page said."""
    if "malformed" in verdict:
        return [(phase, False, False) for phase in schemas.PHASES]
    said = {(one["phase"], one["view"]): not one["faults"] for one in verdict["verdicts"]}
    return [(phase, said[phase, "emit"], said[phase, "accept"]) for phase in schemas.PHASES]


def test_every_message_is_judged_as_suite_and_reference_do(verdicts: dict[str, dict[str, Any]]) -> None:
    """Of each vector and example the page says, for each phase, what the suite and the reference say."""
    assert len(verdicts) > 400
    assert [] == [
        (text[:80], given(verdict)) for text, verdict in verdicts.items() if given(verdict) != expected(text)
    ]


def test_the_faults_are_those_of_the_pages(verdicts: dict[str, dict[str, Any]]) -> None:
    """Of every example the script names the places, and says the words, of the pages of the messages."""
    differing = []
    for one in [one for several in examples().values() for one in several]:
        message = json.loads(one.text)
        for said in verdicts[one.text]["verdicts"]:
            ours = [(it.pointer, it.text) for it in faults(message, said["phase"], said["view"])]
            if ours != [(it["pointer"], it["text"]) for it in said["faults"]]:
                differing.append((one.anchor, said["phase"], said["view"], ours, said["faults"]))
    assert [] == differing


def test_a_malformed_text_is_told_with_its_place(shared: Page) -> None:
    """What is malformed is refused with line, column and words, also where JSON.parse sees nothing."""
    verdicts = shared.evaluate(JUDGE, [text for text, *_ in MALFORMED])
    said = [(it["line"], it["column"], it["malformed"]) for it in verdicts]
    assert [(line, column, words) for _, line, column, words in MALFORMED] == said
    for text, *_ in MALFORMED[:-1]:
        with pytest.raises(BadMessage):
            decode(text.encode(errors="surrogatepass"), Phase(NEWEST))


def test_how_much_is_in_a_text_is_counted_as_the_reference_counts(shared: Page) -> None:
    """Of 16,384 members and entries none is too many; one more is, named with its place and its rule."""
    bodies = [f'{{"timestamp_ms":1,"later":[{",".join("1" * more)}]}}' for more in (16_381, 16_382)]
    fits, over = (f'{{"Ping":{body}}}' for body in bodies)
    taken, refused = shared.evaluate(JUDGE, [fits, over])
    assert expected(fits) == given(taken)
    assert expected(over) == given(refused)
    assert ("WIRE-16", "there are more than 16384 members and entries") == (
        refused["rule"],
        refused["malformed"],
    )
    assert len(over) - len("1]}}") + 1 == refused["column"]


def test_an_integer_is_judged_as_it_is_written(shared: Page) -> None:
    """Digits that a double loses and other spellings are judged as the reference judges them."""
    written = [f'{{"Ping":{{"timestamp_ms":{number}}}}}' for number, _ in SPELLED]
    verdicts = shared.evaluate(JUDGE, written)
    said = ["; ".join(it["text"] for it in one["verdicts"][-1]["faults"]) for one in verdicts]
    assert [fault for _, fault in SPELLED] == said
    assert [given(one) for one in verdicts] == [expected(text) for text in written]


def test_what_is_typed_is_judged(shared: Page, site: Path) -> None:
    """Whoever types reads the verdict of every phase, the fault with its place, and the rule behind it."""
    shared.goto(address(site))
    shared.fill(".playground textarea", '{"Hangup": {\n  "reason": "Busy",\n  "call_id": "c1"}}')
    status = shared.locator(".playground [role=status]")
    told = "Hangup could be sent by phase 7, and is accepted by phases 0 to 7."
    status.filter(has_text=told).wait_for()
    rows = shared.locator(".playground table tbody tr").evaluate_all("those => those.map(it => it.innerText)")
    assert [f"{phase}\t{'✓ yes' if phase == NEWEST else '✗ no'}\t✓ yes" for phase in schemas.PHASES] == rows
    fault = shared.locator(".playground .verdict li")
    assert (
        '/Hangup/call_id (line 3): the phase has no member "call_id"; not sent by phases 0 to 6 (WIRE-10)'
        == fault.inner_text()
    )
    assert fault.locator("a").get_attribute("href").endswith("spec/wire.html#WIRE-10")  # type: ignore[union-attr]
    shared.click(".playground .place")
    chosen = "it => it.value.slice(it.selectionStart, it.selectionEnd)"
    assert '"c1"' == shared.locator(".playground textarea:focus").evaluate(chosen)


def test_a_message_has_an_address(shared: Page, site: Path) -> None:
    """The link of a message leads back to it, and the place of an example loads that example."""
    text = '{"Hangup": {"reason": "Näh & 100 %"}}'
    shared.goto(address(site))
    shared.fill(".playground textarea", text)
    shared.locator(".playground [role=status]").filter(has_text="accepted by no phase").wait_for()
    link = str(shared.get_attribute(".playground a.permalink", "href"))
    assert f"#json={quote(text, safe='!~*().-_' + chr(39))}" == link
    shared.goto(address(site))
    shared.goto(address(site, link))
    assert text == shared.input_value(".playground textarea")
    for one in examples()["Hangup"]:
        shared.goto(address(site, f"#{one.anchor}"))
        assert one.text == shared.input_value(".playground textarea")
        assert one.anchor == shared.input_value(".playground select")


def test_it_is_used_by_the_keyboard(shared: Page, site: Path) -> None:
    """Choice, text, button, link and the places of faults are reached by the tabulator, in this order."""
    shared.goto(address(site, "#Hangup.unknown-reason"))
    shared.focus(".playground select")
    stops = ["select", "textarea", ".arrange", ".permalink", ".place"]
    reached = []
    for _ in stops:
        reached.append(shared.evaluate(f"{stops}.find(it => document.activeElement.matches(it))"))
        shared.keyboard.press("Tab")
    assert stops == reached
    shared.focus(".playground select")
    shared.keyboard.press("ArrowUp")
    assert "Hangup.reason-object" == shared.input_value(".playground select")
    assert "reason" in shared.inner_text(".playground .verdict li")


def test_a_long_text_is_judged_without_seeking_every_fault(shared: Page) -> None:
    """A text of the longest kind is judged as the reference judges it; of its faults some are told."""
    keys, signature = f'"{"k" * 120}",' * 8_000, "1.0," * 8_000
    text = f'{{"CallAnswer":{{"identity_pub":[{keys}1],"signature":[{signature}1]}}}}'
    (verdict,) = shared.evaluate(JUDGE, [text])
    assert expected(text) == given(verdict)
    assert all(1 <= len(one["faults"]) < 10 for one in verdict["verdicts"])


def test_arranging_keeps_what_is_said(shared: Page, site: Path) -> None:
    """Arranging changes white space alone: every digit, escape and member stays as it was."""
    shared.goto(address(site))
    text = (
        '{"Ping":{"timestamp_ms":18446744073709551615,"x":[1e2,-0.0,"\\u0041 [{\\"",[],{}],"y":{"z":null}}}'
    )
    shared.fill(".playground textarea", text)
    shared.click(".playground .arrange")
    arranged = shared.input_value(".playground textarea")
    assert '  "Ping": {\n    "timestamp_ms": 18446744073709551615,\n' in arranged
    for number, one in enumerate((text, arranged)):
        spelled = json.loads(one, parse_int=str, parse_float=str)
        assert spelled == json.loads(text, parse_int=str, parse_float=str), number


def test_without_script_the_page_still_reads(browser: Browser, site: Path) -> None:
    """Who has no script reads what is judged and finds every example as a file."""
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(address(site))
    assert not page.locator(".playground").is_visible()
    assert page.locator("noscript p").is_visible()
    links = page.locator("article a[href^='examples/Hangup/']")
    assert len(examples()["Hangup"]) == links.count()
    context.close()
