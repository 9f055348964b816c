"""The glossary: every word that the conventions define, and every RFC that the site cites."""

from __future__ import annotations

import re

from tools import chapters

DOCS = chapters.ROOT / "docs"
CITED = re.compile(r"RFC ([1-9][0-9]{2,4})")
USED = re.compile(r"\]\((?:spec|how-to|tutorial|results)/")
REFERENCE = re.compile(
    r"^\| \[RFC (\d+)\]\(https://www.rfc-editor.org/rfc/rfc(\d+)\) \| .+ \|$", re.MULTILINE
)


def glossary() -> tuple[str, str]:
    """Return the text of the glossary, and the list of references at its end."""
    text = (DOCS / "glossary.md").read_text(encoding="utf-8")
    words, _, references = text.partition("## References")
    return words, references


def entries() -> list[tuple[str, ...]]:
    """Return the rows of the tables of words."""
    return [row for table in chapters.tables(glossary()[0]) for row in table.rows]


def test_every_word_of_the_conventions_is_there() -> None:
    """What the conventions define stands in the glossary under the same name."""
    defined = {row[0] for row in chapters.table("conventions", "word", "meaning").rows}
    assert defined
    assert set() == defined - {row[0] for row in entries()}


def test_every_word_stands_once_and_leads_to_where_it_is_used() -> None:
    """No word is defined twice; each says who defines it and links a chapter or a page that uses it."""
    words = [row[0] for row in entries()]
    assert sorted(set(words)) == sorted(words)
    assert [] == [row[0] for row in entries() if not row[2] or not USED.search(row[3])]


def test_every_cited_document_is_a_reference() -> None:
    """Each RFC that a chapter, a page or the glossary cites is in the list, once, in order."""
    texts = [*chapters.chapters().values(), glossary()[0]]
    texts += [path.read_text(encoding="utf-8") for path in DOCS.rglob("*.md") if path.name != "glossary.md"]
    cited = {int(number) for text in texts for number in CITED.findall(text)}
    listed = [(int(name), int(link)) for name, link in REFERENCE.findall(glossary()[1])]
    assert sorted((number, number) for number in cited) == listed
