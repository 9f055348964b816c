"""Strict JSON: one reading of a payload, or none, and never anything but Malformed."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reference.core import strict_json
from reference.core.errors import Malformed, TooManyMembers
from reference.core.strict_json import Json
from tests.strategies import json_values

DEEP = strict_json.DEPTH_LIMIT
REFUSED = {
    "nothing": b"",
    "white space": b" \n",
    "a byte order mark": b"\xef\xbb\xbf1",
    "not UTF-8": b'"\xff"',
    "an overlong form": b'"\xc0\x80"',
    "UTF-16": '"a"'.encode("utf-16"),
    "two values": b"1 2",
    "a value and a word": b"{} x",
    "a comma too many": b"[1,]",
    "a single quote": b"'a'",
    "a name without quotes": b"{a:1}",
    "a leading zero": b"01",
    "a plus sign": b"+1",
    "a control character": b'"\n"',
    "an unknown escape": b'"\\x41"',
    "an open string": b'"a',
    "NaN": b"NaN",
    "Infinity": b"[Infinity]",
    "minus Infinity": b"-Infinity",
    "a fraction outside a double": b"1e999",
    "an integer outside a double": b"1" + b"0" * 309,
    "a member twice": b'{"a":1,"a":1}',
    "a member twice, deep inside": b'[{"x":{"a":1,"\\u0061":2}}]',
    "a lone surrogate": b'"\\ud800"',
    "a lone surrogate as a name": b'{"\\udfff":1}',
    "surrogates in the wrong order": b'"\\udc00\\ud800"',
    "too deep": b"[" * (DEEP + 1) + b"]" * (DEEP + 1),
    "too deep in turns": b'[{"a":' * 33 + b"1" + b"}]" * 33,
    "open for ever": b"[" * 100_000,
}
TAKEN = {
    "a pair of surrogates": (b'"\\ud83d\\ude00"', "\U0001f600"),
    "white space": (b' { "a" :\t[ 1 ,\r\n2 ] } ', {"a": [1, 2]}),
    "the smallest of 64 bits": (b"-9223372036854775808", -(2**63)),
    "the largest of 64 bits": (b"18446744073709551615", 2**64 - 1),
    "a number of 300 digits": (b"9" * 300, int("9" * 300)),
    "brackets in a string": (b'"' + b"[" * 100 + b'"', "[" * 100),
    "brackets behind an escaped quote": (b'"\\"' + b"[{" * 100 + b'"', '"' + "[{" * 100),
    "the same name in two objects": (b'[{"a":1},{"a":1}]', [{"a": 1}, {"a": 1}]),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_parsers_differ_on_is_malformed(case: str) -> None:
    """Each of these is refused with a short sentence that says what is wrong (WIRE-4)."""
    with pytest.raises(Malformed) as refused:
        strict_json.parse(REFUSED[case])
    assert 200 > len(refused.value.evidence)
    assert refused.value.evidence.isprintable()


@pytest.mark.parametrize("case", TAKEN)
def test_what_looks_odd_and_is_json_is_taken(case: str) -> None:
    """Each of these has one reading, and integers are exact in it (WIRE-12)."""
    payload, value = TAKEN[case]
    assert value == strict_json.parse(payload)


def test_the_deepest_value_is_taken() -> None:
    """Sixty-four objects and arrays may be open at once, and any number one after another."""
    deepest = b"[" * DEEP + b"]" * DEEP
    assert strict_json.parse(deepest)
    assert [[]] * 1000 == strict_json.parse(b"[" + b",".join([b"[]"] * 1000) + b"]")


MOST = strict_json.MEMBER_LIMIT


@pytest.mark.parametrize(
    "entry", [b"1", b"[]", b"{ \t}", b'""', b'"\\\\"', b'"\\",[{"', b'"' + b"[,{" * 100 + b'"', b"[\n]"]
)
def test_the_most_entries_are_taken_and_no_more(entry: bytes) -> None:
    """An array of 16,384 entries is taken and one of 16,385 is not, whatever the entries are (WIRE-16)."""
    assert MOST == len(strict_json.parse(b"[" + b",".join([entry] * MOST) + b"]"))  # type: ignore[arg-type]
    with pytest.raises(TooManyMembers):
        strict_json.parse(b"[" + b",".join([entry] * (MOST + 1)) + b"]")


@settings(max_examples=50, deadline=None)
@given(json_values(), st.integers(0, 12))
def test_members_and_entries_are_counted_exactly(value: Json, most: int) -> None:
    """A value is refused if and only if its members and entries are over the limit (WIRE-16)."""

    def count(value: Json) -> int:
        inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
        return len(inner) + sum(map(count, inner))

    payload = json.dumps(value, indent=1).encode()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(strict_json, "MEMBER_LIMIT", most)
        if count(value) <= most:
            assert value == strict_json.parse(payload)
        else:
            with pytest.raises(TooManyMembers):
                strict_json.parse(payload)


HOSTILE = {
    "numbers": b"[" + b"1," * 524_000 + b"1]",
    "texts": b'["",' * 4 + b'"",' * 349_000,
    "texts of brackets": b'"[",' * 262_000,
    "open arrays": b"[" * 1_048_576,
    "arrays without commas": b"[]" * 524_288,
    "commas": b"," * 1_048_576,
    "quotes": b"," * 16_385 + b'"' * 1_032_191,
}


@pytest.mark.parametrize("case", HOSTILE)
def test_what_holds_too_much_is_refused_before_it_is_read(case: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a payload that holds too much nothing is built (WIRE-16)."""
    monkeypatch.delattr(json, "loads")
    with pytest.raises(TooManyMembers, match="over 16384 members and entries"):
        strict_json.parse(HOSTILE[case])


def test_a_zero_with_a_sign_is_no_integer() -> None:
    """Minus zero is a fraction, as deployed parsers read it."""
    assert isinstance(strict_json.parse(b"-0"), float)


@settings(max_examples=200, deadline=None)
@given(json_values())
def test_what_is_written_is_read(value: Json) -> None:
    """Any JSON value comes back as it was, and what was written is compact."""
    written = strict_json.write(value)
    assert value == strict_json.parse(written)
    assert value == json.loads(written)


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=60) | st.text(alphabet='[]{}":,\\u0d8 1e-.ntr', max_size=60).map(str.encode))
def test_nothing_but_malformed_is_raised(payload: bytes) -> None:
    """Any bytes are a value that the standard library reads too, or Malformed."""
    try:
        value = strict_json.parse(payload)
    except Malformed:
        return
    assert json.loads(payload) == value


@pytest.mark.parametrize("value", [float("nan"), float("inf"), {1, 2}, b"bytes", "\ud800"])
def test_what_is_no_json_is_not_written(value: object) -> None:
    """Writing what no reader could read is an error."""
    with pytest.raises((TypeError, ValueError)):
        strict_json.write(value)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("x" * 1000, "'" + "x" * 40 + "'"),
        ("a\nb", "'a\\nb'"),
        ({"a": 1}, "an object of 1 members"),
        ([1, 2, 3], "an array of 3 entries"),
        (True, "true"),
        (None, "null"),
        (1.5, "1.5"),
    ],
)
def test_evidence_is_short_and_on_one_line(value: Json, expected: str) -> None:
    """What is said of a value names it and never holds a whole payload."""
    assert expected == strict_json.shown(value)
