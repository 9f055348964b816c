"""The lines of a TOML text: each table and value is placed where the statement that says it begins."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reference.places import Place, line_of, places

TEXT = '''\
# nothing here
a = 1
"b c".d = 2   # dotted
text = """
e = 3
[f]
"""
inline = {g = [1,
  2], h = "x"}

[table.of]
i = 4
[[many]]
j = 5

[[many]]
  j = 6
[many.below]
k = 7
[[many.deeper]]
l = 8
[[many.deeper]]
l = 9
'''


def there(value: object, place: Place = ()) -> Iterator[Place]:
    """Yield the place of everything in a value."""
    yield place
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from there(inner, (*place, name))
    if isinstance(value, list):
        for index, inner in enumerate(value):
            yield from there(inner, (*place, index))


@pytest.mark.parametrize(
    ("place", "line"),
    [
        (("a",), 2),
        (("b c", "d"), 3),
        (("text",), 4),
        (("inline", "g", 1), 8),
        (("inline", "h"), 8),
        (("table", "of"), 11),
        (("table", "of", "i"), 12),
        (("table",), 11),
        (("many",), 13),
        (("many", 0), 13),
        (("many", 0, "j"), 14),
        (("many", 1, "j"), 17),
        (("many", 1, "below", "k"), 19),
        (("many", 1, "deeper", 0, "l"), 21),
        (("many", 1, "deeper", 1, "l"), 23),
    ],
)
@pytest.mark.parametrize("ending", ["\n", "\r\n"])
def test_a_value_has_a_line(place: Place, line: int, ending: str) -> None:
    """Keys that are bare, dotted, quoted, in tables, in arrays and in values of several lines are found."""
    assert line == places(TEXT.replace("\n", ending))[place]


def test_what_is_not_there_stands_in_what_is_around_it() -> None:
    """The place of a member that is missing is that of the table that lacks it."""
    found = places(TEXT)
    assert 16 == line_of(found, ("many", 1, "nothing"))
    assert 23 == line_of(found, ("nowhere", "at all"))


KEYS = st.text("ab-_1", min_size=1, max_size=3)
SCALARS = st.sampled_from(["1", "true", '"x"', "'''\n[x]\n'''", "[\n1,\n[2]]", "{a = 1, b = {c = 2}}"])
STATEMENTS = st.one_of(
    st.builds("{} = {}".format, KEYS, SCALARS),
    st.builds("{}.{} = {}".format, KEYS, KEYS, SCALARS),
    st.builds("[{}]".format, KEYS),
    st.builds("[{}.{}]".format, KEYS, KEYS),
    st.builds("[[{}]]".format, KEYS),
    st.sampled_from(["", "# a = 1", "  "]),
)


@given(st.lists(STATEMENTS, max_size=8))
def test_everything_is_placed(statements: list[str]) -> None:
    """Whatever a text says, each table and value of it has a line, and nothing else."""
    text = "\n".join(statements)
    try:
        said = tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        return
    assert set(there(said)) == set(places(text))


def test_a_statement_without_end_is_not_read_for_ever() -> None:
    """Behind a value of very many lines nothing is placed; it is told by the last line looked at."""
    found = places("a = 1\nb = [\n" + "1,\n" * 5_000 + "]\nc = 2\n")
    assert {(): 1, ("a",): 1} == found
    assert 1 == line_of(found, ("c",))
