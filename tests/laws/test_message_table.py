"""The table of messages and phases in spec/phases.md: made from the schemas, and no other."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

import schemas
from tools import message_table
from tools.chapters import chapters, table


def test_the_table_is_what_the_schemas_say() -> None:
    """The text between the marks of the chapter is the one that the generator writes."""
    assert message_table.inserted(chapters()["phases"]) == chapters()["phases"]


def test_the_table_has_every_message_and_every_member() -> None:
    """Read back, the rows are the messages of each phase, and the members those that came later."""
    rows = table("phases", "message", "members added since").rows
    definitions = {
        name: body for stem in schemas.CHAPTERS for name, body in schemas.load(stem)["$defs"].items()
    }
    for column, phase in enumerate(schemas.PHASES, 1):
        there = [row[0].strip("`") for row in rows if row[column] != message_table.MISSING]
        assert list(schemas.messages(phase)) == there
        for row in rows:
            body = definitions[row[0].strip("`")]
            ages = {member: one["x-since"] for member, one in body.get("properties", {}).items()}
            grown = phase != body["x-since"] and phase in ages.values()
            assert grown == (row[column] == message_table.MORE)
    for row in rows:
        body = definitions[row[0].strip("`")]
        late = {key for key, one in body.get("properties", {}).items() if one["x-since"] != body["x-since"]}
        assert late == set(row[-1].split("`")[1::2])


def test_a_table_that_has_drifted_is_mended(tmp_path: Path) -> None:
    """Whatever stands between the marks is replaced, the rest of the chapter stays as it is."""
    chapter = tmp_path / "phases.md"
    old = f"before\n{message_table.BEGIN}\nold\n{message_table.END}\nafter\n"
    chapter.write_text(old, encoding="utf-8")
    assert message_table.main(chapter) == 0
    written = chapter.read_text(encoding="utf-8")
    assert written == old.replace("old", f"\n{message_table.drawn()}\n")
    assert written == message_table.inserted(written)


def test_a_table_that_is_right_is_not_written(tmp_path: Path) -> None:
    """A chapter that has its table is left alone, so that it need not be one that can be written."""
    chapter = tmp_path / "phases.md"
    chapter.write_bytes(message_table.CHAPTER.read_bytes())
    os.utime(chapter, (0, 0))
    assert 0 == message_table.main(chapter)
    assert 0 == chapter.stat().st_mtime


@pytest.mark.parametrize("times", [0, 2])
def test_a_chapter_without_one_place_is_refused(times: int) -> None:
    """The generator does not guess where the table belongs."""
    with pytest.raises(ValueError, match="has no place for the table"):
        message_table.inserted(f"{message_table.BEGIN}\n{message_table.END}\n" * times)
