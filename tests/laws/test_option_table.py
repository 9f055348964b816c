"""The table of options in docs/how-to/operate-a-relay.md: made from the options, and no other."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import pytest

from reference.options import Options
from reference.peers import TABLES
from tools import option_table
from tools.chapters import tables


def test_the_table_is_what_the_options_say() -> None:
    """The text between the marks of the page is the one that the generator writes."""
    page = option_table.PAGE.read_text(encoding="utf-8")
    assert option_table.inserted(page) == page


def test_the_table_has_every_option() -> None:
    """Read back, there is a row for each option with a value, a default and a meaning of its own."""
    (table,) = tables(option_table.drawn())
    assert len(fields(Options)) - len(TABLES) == len(table.rows)
    assert all(all(row) for row in table.rows)
    rows = {row[0]: row[1:] for row in table.rows}
    expected = ("a whole number from 1 to 1000000000", "`8`", "reloaded", "live calls of one fingerprint")
    assert expected == rows["`max-calls`"]
    assert ('`"signed"`, `"open"`', '`"signed"`', "reloaded") == rows["`registration`"][:3]
    assert "restart" == rows["`listen`"][2]


def test_a_table_that_has_drifted_is_mended(tmp_path: Path) -> None:
    """Whatever stands between the marks is replaced, the rest of the page stays as it is."""
    page = tmp_path / "page.md"
    old = f"before\n{option_table.BEGIN}\nold\n{option_table.END}\nafter\n"
    page.write_text(old, encoding="utf-8")
    assert 0 == option_table.main(page)
    assert old.replace("old", f"\n{option_table.drawn()}\n") == page.read_text(encoding="utf-8")


@pytest.mark.parametrize("times", [0, 2])
def test_a_page_without_one_place_is_refused(times: int) -> None:
    """The generator does not guess where the table belongs."""
    with pytest.raises(ValueError, match="has no place for the table"):
        option_table.inserted(f"{option_table.BEGIN}\n{option_table.END}\n" * times)
