"""Schemas: the sources, the views made from them, and the examples."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from referencing import Registry, Resource

import schemas
from schemas import build
from tests.strategies import faults, is_bare, one_fault, valid, with_members

ROOT = Path(build.__file__).parent
EXAMPLES = sorted((ROOT / "examples").glob("*/*.json"))
VALID = [path for path in EXAMPLES if not path.stem.endswith((".accept", ".invalid"))]
ACCEPTED = [path for path in EXAMPLES if path.stem.endswith(".accept")]
INVALID = [path for path in EXAMPLES if path.stem.endswith(".invalid")]
NEWEST = schemas.PHASES[-1]
FAULTS = {(name, fault): bad for name in with_members(NEWEST) for fault, bad in faults(name, NEWEST).items()}


def definitions_of(stem: str) -> dict[str, Any]:
    """Return the definitions of a chapter's source by name."""
    definitions: dict[str, Any] = schemas.load(stem)["$defs"]
    return definitions


def shown(path: Path) -> str:
    """Return the name of an example as a test's name."""
    return f"{path.parent.name}/{path.stem}"


@cache
def validator(phase: str, view: schemas.View, name: str = "") -> Draft202012Validator:
    """Return a validator of whole messages, or of the bodies of the message `name`."""
    schema = schemas.view(phase, view)
    return Draft202012Validator({"$ref": f"#/$defs/{name}", "$defs": schema["$defs"]} if name else schema)


def example(path: Path) -> tuple[Any, Any]:
    """Return the message and the body of an example, whose folder is named after the message.

    A message without members is its own body, and so is whatever else stands in its folder.
    """
    message = json.loads(path.read_text(encoding="utf-8"))
    if is_bare(path.parent.name, NEWEST):
        return message, message
    assert [path.parent.name] == list(message)
    return message, message[path.parent.name]


@pytest.mark.parametrize("stem", schemas.CHAPTERS)
def test_a_source_is_a_schema(stem: str) -> None:
    """Every source is JSON Schema 2020-12 and is identified by its chapter."""
    source = schemas.load(stem)
    Draft202012Validator.check_schema(source)
    assert f"urn:directcall:schema:{stem}" == source["$id"]


def test_every_source_file_is_a_chapter() -> None:
    """No source file is forgotten in the list of chapters."""
    files = {path.name.removesuffix(".schema.json") for path in ROOT.glob("*.schema.json")}
    assert set(schemas.CHAPTERS) == files


def test_the_references_of_the_sources_resolve() -> None:
    """Whatever a source refers to is found by a registry that holds the sources alone."""
    sources = [schemas.load(stem) for stem in schemas.CHAPTERS]
    resources = [(source["$id"], Resource.from_contents(source)) for source in sources]
    registry: Registry[Any] = Registry().with_resources(resources)
    references = set(re.findall(r'"\$ref": "([^"]+)"', json.dumps(sources)))
    assert len(references) > len(schemas.CHAPTERS)
    for reference in references:
        assert registry.resolver().lookup(reference).contents["description"]


@pytest.mark.parametrize("stem", schemas.CHAPTERS)
def test_every_message_and_property_is_dated_and_described(stem: str) -> None:
    """Messages and properties carry x-since and a description, optional ones how they are absent."""
    for name, definition in schemas.load(stem)["$defs"].items():
        assert definition["description"], name
        assert definition.get("x-since", "0") in schemas.PHASES, name
        assert ("x-since" in definition) == definition.get("x-message", False), name
        for key, value in definition.get("properties", {}).items():
            assert value["x-since"] in schemas.PHASES, f"{name}.{key}"
            assert value["description"], f"{name}.{key}"
            assert ("x-absent" in value) == (key not in definition["required"]), f"{name}.{key}"


def test_the_committed_views_are_what_the_sources_say() -> None:
    """Running the generator with --check over the tree finds nothing."""
    done = subprocess.run(
        [sys.executable, "-m", "schemas.build", "--check"], capture_output=True, text=True, check=False
    )
    assert (0, "") == (done.returncode, done.stdout)


def test_a_drifted_a_missing_and_a_stray_file_are_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The check names exactly the files that differ, and writing mends all of them."""
    assert build.main([], tmp_path) == 0
    assert build.main(["--check"], tmp_path) == 0
    folder = tmp_path / "phases" / "0"
    (folder / "emit.schema.json").write_text("{}", encoding="utf-8")
    (folder / "accept.schema.json").unlink()
    (folder / "stray.json").write_text("{}", encoding="utf-8")
    assert build.main(["--check"], tmp_path) == 1
    named = [line.split(" ")[0] for line in capsys.readouterr().out.splitlines()]
    assert ["phases/0/accept.schema.json", "phases/0/emit.schema.json", "phases/0/stray.json"] == named
    assert build.main([], tmp_path) == 0
    assert build.main(["--check"], tmp_path) == 0


@pytest.mark.parametrize("phase", schemas.PHASES)
@pytest.mark.parametrize("view", build.VIEWS)
def test_a_view_stands_alone(view: schemas.View, phase: str) -> None:
    """A view is a valid schema, refers to nothing outside, and has no keyword of ours."""
    schema = schemas.view(phase, view)
    Draft202012Validator.check_schema(schema)
    assert f"urn:directcall:phase:{phase}:{view}" == schema["$id"]
    text = json.dumps(schema)
    assert "urn:directcall:schema" not in text
    assert '"x-' not in text
    assert set(schemas.messages(phase)) <= set(schema["$defs"])


def test_what_does_not_exist_is_refused_by_name() -> None:
    """Chapters, phases and views that do not exist are refused with a sentence that names them."""
    with pytest.raises(ValueError, match="no schema is called 'phone'"):
        schemas.load("phone")
    with pytest.raises(ValueError, match="no phase is called '9'"):
        schemas.messages("9")
    with pytest.raises(ValueError, match=r"no phase is called '\.\./0'"):
        schemas.view("../0", "emit")
    with pytest.raises(ValueError, match="no view is called 'read'"):
        schemas.view("0", "read")  # type: ignore[arg-type]


def test_every_message_has_examples_of_every_kind() -> None:
    """Each message has at least two valid examples, one for receivers alone and two faults.

    One without members can be written in one way only, so that it has no second and none for receivers.
    """
    for kind, least, least_bare in ((VALID, 2, 1), (ACCEPTED, 1, 0), (INVALID, 2, 2)):
        counts = dict.fromkeys(schemas.messages(NEWEST), 0)
        for path in kind:
            counts[path.parent.name] += 1
        wanted = {name: least_bare if is_bare(name, NEWEST) else least for name in counts}
        assert [] == [name for name, count in counts.items() if count < wanted[name]]


@pytest.mark.parametrize("path", VALID, ids=shown)
def test_a_valid_example_may_be_sent_and_is_taken(path: Path) -> None:
    """What a sender may emit passes both views, as a body and as a whole message."""
    message, body = example(path)
    for view in build.VIEWS:
        found = validator(NEWEST, view, path.parent.name).iter_errors(body)
        assert [] == [error.message for error in found]
        assert validator(NEWEST, view).is_valid(message)


@pytest.mark.parametrize("path", ACCEPTED, ids=shown)
def test_an_example_for_receivers_is_taken_but_not_sent(path: Path) -> None:
    """What only a receiver has to take passes the accept view and fails the emit view."""
    _, body = example(path)
    found = validator(NEWEST, "accept", path.parent.name).iter_errors(body)
    assert [] == [error.message for error in found]
    assert not validator(NEWEST, "emit", path.parent.name).is_valid(body)


@pytest.mark.parametrize("path", INVALID, ids=shown)
def test_an_invalid_example_has_exactly_one_fault(path: Path) -> None:
    """Both views find one error in the body, so the file's name can say what it is."""
    message, body = example(path)
    for view in build.VIEWS:
        assert len(list(validator(NEWEST, view, path.parent.name).iter_errors(body))) == 1
        assert not validator(NEWEST, view).is_valid(message)


@pytest.mark.parametrize("path", EXAMPLES, ids=shown)
def test_an_example_is_judged_alike_by_every_phase_that_knows_its_members(path: Path) -> None:
    """An older phase that has the message and all its members takes and refuses the same examples."""
    name = path.parent.name
    message, body = example(path)
    members = set(body) if isinstance(body, dict) else set()
    source = next(chapter[name] for chapter in map(definitions_of, schemas.CHAPTERS) if name in chapter)
    ages = [value["x-since"] for key, value in source.get("properties", {}).items() if key in members]
    since = max([source["x-since"], *ages], key=schemas.PHASES.index)
    for phase in schemas.PHASES[schemas.PHASES.index(since) :]:
        for view in build.VIEWS:
            expected = validator(NEWEST, view).is_valid(message)
            assert expected == validator(phase, view).is_valid(message), f"{phase}, {view}"


@pytest.mark.parametrize("name", schemas.messages(NEWEST))
@settings(deadline=None, max_examples=8, suppress_health_check=[HealthCheck.too_slow])
@given(st.data())
def test_drawn_messages_are_as_valid_as_they_claim(name: str, data: st.DataObject) -> None:
    """What is drawn for a view passes it; what is emitted is accepted too."""
    emitted = data.draw(valid(name, NEWEST, "emit"))
    assert validator(NEWEST, "emit").is_valid(emitted)
    assert validator(NEWEST, "accept").is_valid(emitted)
    assert validator(NEWEST, "accept").is_valid(data.draw(valid(name, NEWEST, "accept")))


@pytest.mark.parametrize("phase", ["4", "6"])
@settings(deadline=None, max_examples=4, suppress_health_check=[HealthCheck.too_slow])
@given(st.data())
def test_what_is_drawn_for_an_envelope_is_a_message_of_its_phase(phase: str, data: st.DataObject) -> None:
    """The schema of an envelope leaves open what it carries; what is drawn for it passes the view as well."""
    for view in build.VIEWS:
        drawn = data.draw(valid("FederatedSignalForward", phase, view))
        inner = drawn["FederatedSignalForward"]["inner"]
        assert [] == [error.message for error in validator(phase, view).iter_errors(inner)]


@pytest.mark.parametrize(("name", "fault"), FAULTS)
@settings(deadline=None, max_examples=2)
@given(st.data())
def test_a_drawn_fault_is_the_only_one(name: str, fault: str, data: st.DataObject) -> None:
    """A message drawn with a fault has exactly one error in the accept view."""
    drawn = data.draw(FAULTS[name, fault])
    assert fault == drawn.name
    assert len(list(validator(NEWEST, "accept", name).iter_errors(drawn.message[name]))) == 1


@pytest.mark.parametrize("name", with_members(NEWEST))
def test_every_member_has_faults(name: str) -> None:
    """Each required member can be missing, and each member can be of the wrong type."""
    body = schemas.view(NEWEST, "accept")["$defs"][name]
    names = faults(name, NEWEST)
    assert all(f"{member}: missing" in names for member in body["required"])
    assert all(any(fault.startswith(f"{member}: ") for fault in names) for member in body["properties"])


def test_a_message_that_does_not_exist_cannot_be_drawn() -> None:
    """Drawing a message that the phase does not have is refused by name."""
    with pytest.raises(ValueError, match="phase 0 has no message 'Reflect'"):
        valid("Reflect", "0", "emit")
    with pytest.raises(ValueError, match="phase 0 has no message 'Reflect'"):
        one_fault("Reflect", "0")


# A source with every later kind of change, to prove the generator on phases that are yet to come.


def dated(since: str, **schema: Any) -> dict[str, Any]:  # noqa: ANN401  any JSON value
    """Return a described schema that exists since the phase `since`."""
    return {"description": "made up", "x-since": since, **schema}


def message(since: str, members: dict[str, Any], *required: str) -> dict[str, Any]:
    """Return a message that exists since the phase `since`."""
    return dated(since, **{"x-message": True}, type="object", properties=members, required=list(required))


def synthetic() -> dict[str, Any]:
    """Return a source whose message gains a member in most phases, and messages of later phases."""
    strings = {"type": "array", "items": {"type": "string"}}
    members = {
        "id": dated("0", type="string"),
        "alias": dated("0", **{"x-absent": "null"}, type="string"),
        "key": dated("1", **{"x-absent": "omit"}, **{"$ref": "urn:directcall:schema:made#/$defs/Bytes"}),
        "address": dated("3", **{"x-absent": "omit"}, type="string"),
        "addresses": dated("5.5", **{"x-absent": "omit"}, **strings),
        "inner": dated("6", **{"x-absent": "omit"}, **{"$ref": "urn:directcall:schema:made#/$defs/Inner"}),
        "build": dated("7", **{"x-absent": "omit"}, type="string"),
    }
    inner = {
        "a": dated("6", type="boolean"),
        "b": dated("7", **{"x-absent": "null"}, type="integer"),
    }
    integers = {"type": "array", "items": {"type": "integer"}}
    return {
        "$defs": {
            "Offer": message("0", members, "id"),
            "Reflect": dated("1", **{"x-message": True}, const="Reflect"),
            "Forward": message("4", {"to": dated("4", type="string")}, "to"),
            "Report": message("6", {"winner": dated("6", **{"x-absent": "empty"}, type="string")}),
            "Inner": {"description": "made up", "type": "object", "properties": inner, "required": ["a"]},
            "Bytes": {"description": "made up", "x-bytes": True, **integers},
        }
    }


@cache
def made(phase: str, view: schemas.View) -> Draft202012Validator:
    """Return a validator of the synthetic source's view, from the text that would be written."""
    text = build.build([synthetic()])[Path("phases", phase, f"{view}.schema.json")]
    schema = json.loads(text)
    Draft202012Validator.check_schema(schema)
    return Draft202012Validator(schema)


SINCE = {"key": "1", "address": "3", "addresses": "5.5", "inner": "6", "build": "7"}
GOOD_VALUES = {"key": [], "address": "a", "addresses": ["a"], "inner": {"a": True}, "build": "b"}
BAD_VALUES = {"key": "a", "address": 1, "addresses": None, "inner": {"a": 1}, "build": []}


def test_every_phase_up_to_the_newest_gets_both_views() -> None:
    """A source that reaches the last phase yields a pair of views for all ten."""
    expected = {
        Path("phases", phase, f"{view}.schema.json") for phase in schemas.PHASES for view in build.VIEWS
    }
    assert expected == set(build.build([synthetic()]))


@pytest.mark.parametrize("member", SINCE)
@pytest.mark.parametrize("phase", schemas.PHASES)
def test_a_member_exists_since_its_phase(phase: str, member: str) -> None:
    """An older sender must not send a member, an older receiver does not look at it."""
    known = schemas.PHASES.index(phase) >= schemas.PHASES.index(SINCE[member])
    good = {"Offer": {"id": "x", member: GOOD_VALUES[member]}}
    bad = {"Offer": {"id": "x", member: BAD_VALUES[member]}}
    assert known == made(phase, "emit").is_valid(good)
    assert made(phase, "accept").is_valid(good)
    assert (not known) == made(phase, "accept").is_valid(bad)


@pytest.mark.parametrize("phase", schemas.PHASES)
def test_absent_values_are_spelt_as_the_source_says(phase: str) -> None:
    """Senders write null only where x-absent says so; receivers take null for any optional value."""
    known = schemas.PHASES.index(phase) >= schemas.PHASES.index("3")
    assert made(phase, "emit").is_valid({"Offer": {"id": "x"}})
    assert made(phase, "emit").is_valid({"Offer": {"id": "x", "alias": None}})
    assert made(phase, "accept").is_valid({"Offer": {"id": "x", "alias": None, "address": None}})
    assert not made(phase, "emit").is_valid({"Offer": {"id": "x", "address": None}})
    assert not made(phase, "accept").is_valid({"Offer": {"id": None}})
    assert known == made(phase, "emit").is_valid({"Offer": {"id": "x", "address": "a"}})


@pytest.mark.parametrize("phase", ["5.5", "6", "7"])
def test_an_optional_list_is_never_sent_empty_and_never_null(phase: str) -> None:
    """Receivers take an empty list and refuse null; senders write neither; bytes are no list."""
    empty = {"Offer": {"id": "x", "addresses": []}}
    assert not made(phase, "emit").is_valid(empty)
    assert made(phase, "accept").is_valid(empty)
    assert not made(phase, "accept").is_valid({"Offer": {"id": "x", "addresses": None}})
    assert made(phase, "emit").is_valid({"Offer": {"id": "x", "key": []}})
    assert made(phase, "accept").is_valid({"Offer": {"id": "x", "key": None}})


@pytest.mark.parametrize("phase", ["6", "7"])
def test_a_text_that_is_empty_when_absent_is_always_sent_and_never_null(phase: str) -> None:
    """Receivers take a message without it, senders always write it, and null is refused by both."""
    assert (True, True) == tuple(
        made(phase, view).is_valid({"Report": {"winner": ""}}) for view in build.VIEWS
    )
    assert (False, True) == tuple(made(phase, view).is_valid({"Report": {}}) for view in build.VIEWS)
    assert (False, False) == tuple(
        made(phase, view).is_valid({"Report": {"winner": None}}) for view in build.VIEWS
    )


def test_types_inside_messages_have_phases_too() -> None:
    """A member of a nested object is unknown before its phase, at any depth."""
    later = {"Offer": {"id": "x", "inner": {"a": True, "b": 1}}}
    wrong = {"Offer": {"id": "x", "inner": {"a": True, "b": "1", "c": 1}}}
    assert (False, True) == (made("6", "emit").is_valid(later), made("7", "emit").is_valid(later))
    assert (True, False) == (made("6", "accept").is_valid(wrong), made("7", "accept").is_valid(wrong))


@pytest.mark.parametrize("phase", schemas.PHASES)
def test_a_message_exists_since_its_phase(phase: str) -> None:
    """A message is unknown to both views before its phase; one without members is a string."""
    for value, since in (("Reflect", "1"), ({"Forward": {"to": "x"}}, "4")):
        known = schemas.PHASES.index(phase) >= schemas.PHASES.index(since)
        for view in build.VIEWS:
            assert known == made(phase, view).is_valid(value)
    for view in build.VIEWS:
        assert not made(phase, view).is_valid({"Reflect": None})
        assert not made(phase, view).is_valid({"Offer": {"id": "x"}, "Forward": {"to": "x"}})


@pytest.mark.parametrize("older", schemas.PHASES)
@pytest.mark.parametrize("newer", schemas.PHASES)
def test_what_one_phase_emits_the_other_accepts(older: str, newer: str) -> None:
    """For every pair of phases, in both directions, a message both know is never refused."""
    known = {member for member in SINCE if schemas.PHASES.index(SINCE[member]) <= schemas.PHASES.index(newer)}
    message = {"Offer": {"id": "x", "alias": None, **{member: GOOD_VALUES[member] for member in known}}}
    assert made(newer, "emit").is_valid(message)
    assert made(older, "accept").is_valid(message)


def spoil(source: dict[str, Any], *path: str, value: Any) -> dict[str, Any]:  # noqa: ANN401
    """Return `source` with `value` at `path` below its definitions."""
    target = source["$defs"]
    for step in path[:-1]:
        target = target[step]
    target[path[-1]] = value
    return source


@pytest.mark.parametrize(
    ("path", "value", "sentence"),
    [
        (("Forward", "properties", "to", "x-since"), "3", "Forward.to is older than Forward"),
        (("Offer", "required"), ["id", "key"], "Offer.key is required and younger than Offer"),
        (("Offer", "properties", "build", "x-absent"), "null?", "Offer.build is optional and its x-absent"),
        (
            ("Offer", "properties", "addresses", "x-absent"),
            "null",
            "Offer.addresses is a list, which is never",
        ),
        (
            ("Offer", "properties", "addresses", "x-absent"),
            "empty",
            "Offer.addresses is empty when it is absent, and no text",
        ),
        (
            ("Offer", "properties", "key", "$ref"),
            "urn:directcall:schema:made#/$defs/Key",
            "no chapter defines",
        ),
    ],
)
def test_a_source_that_breaks_the_rules_is_refused(path: tuple[str, ...], value: Any, sentence: str) -> None:  # noqa: ANN401
    """The generator names the place in a source that no view can be made from."""
    with pytest.raises(build.SourceError, match=sentence):
        build.build([spoil(synthetic(), *path, value=value)])


def test_a_name_is_defined_once() -> None:
    """Two chapters that define the same name are refused, since a view has one space of names."""
    with pytest.raises(build.SourceError, match="Offer is defined twice"):
        build.build([synthetic(), synthetic()])
