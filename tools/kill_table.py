"""Kill table: which mutant each check rejects, as it is committed and published.

    python -m conformance mutants --all --out out/mutants     judges every mutant by every check
    python -m tools.kill_table                                takes the table over into docs/results/
    python -m tools.kill_table --check                        whether what is committed is that of today

Rules of this file: kills.json is the only source; the page and the badge are made from it. A table in
which anything survives, or that is of other mutants than today's, is none.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from jinja2 import Environment

from conformance import kills, trace

ROOT = Path(__file__).resolve().parent.parent
MEASURED = ROOT / "out" / "mutants" / "kills.json"
FOLDER = ROOT / "docs" / "results"
COLUMNS = ("role", "mutant", "rule", "title", "collateral")
LABEL_WIDTH, TEXT_WIDTH = 108, 150

Table = dict[str, Any]

PAGE = """# The kill table

A check that cannot fail proves nothing.
For every requirement there is an implementation of ours in which that one rule is broken: a mutant.
Each is judged by every check of its role, and is to be rejected by the check of its rule and by no other.
The last column has the exceptions: rules that cannot hold any more once this one is broken.

{{ sentence }}

| role | rule | what is broken | collateral |
|---|---|---|---|
{% for one in mutants -%}
| {{ one.role }} | {{ one.rule }} | {{ one.title | replace("|", "/") }} | \
{{ one.collateral | join(", ") or "–" }} |
{% endfor %}"""

BADGE = """<svg xmlns="http://www.w3.org/2000/svg" width="{{ label + text }}" height="20" role="img" \
aria-label="{{ words }}"><title>{{ words }}</title><rect width="{{ label }}" height="20" fill="#3d4450"/>\
<rect x="{{ label }}" width="{{ text }}" height="20" fill="{{ colour }}"/>\
<g fill="#fff" font-family="Verdana,DejaVu Sans,sans-serif" font-size="11" text-anchor="middle">\
<text x="{{ label / 2 }}" y="14">{{ left }}</text><text x="{{ label + text / 2 }}" y="14">{{ right }}</text>\
</g></svg>
"""


def of(entries: list[dict[str, Any]]) -> Table:
    """Return the table to commit, from what a run of the mutants left; raises ValueError for a survivor."""
    for one in entries:
        if not one["killed"]:
            raise ValueError(
                f"the mutant {one['mutant']} of a {one['role']} is not killed alone: {one['verdict']}"
            )
    mutants = {(one.kind, one.id): one for one in trace.mutants()}
    measured = {(one["role"], one["mutant"]) for one in entries}
    for role, name in sorted(mutants.keys() ^ measured):
        raise ValueError(f"the mutant {name} of a {role} is in one of the list and the table, not in both")
    killed = [kills.Kill(mutants[one["role"], one["mutant"]], "fail") for one in entries]
    rows = [{name: one[name] for name in COLUMNS} for one in entries]
    for row in rows:
        row["title"] = mutants[row["role"], row["mutant"]].title
    return {"numbers": kills.numbers(killed), "mutants": rows}


def texts(table: Table) -> dict[str, str]:
    """Return every file that is made from the table, by its name."""
    numbers = table["numbers"]
    sentence = (
        f"Of {numbers['MUSTs']} requirements that say MUST, {numbers['observable']} can be observed "
        f"from outside, {numbers['checked']} are checked, and {numbers['killed alone']} are proved: "
        f"{len(table['mutants'])} mutants, each killed alone by its own check."
    )
    whole = numbers["killed alone"] == numbers["observable"]
    right = f"{numbers['killed alone']} of {numbers['observable']} observable"
    badge = {"left": "MUSTs killed alone", "right": right, "words": f"MUSTs killed alone: {right}"}
    badge |= {"colour": "#1b6e3a" if whole else "#a33"}
    made = Environment(autoescape=True, keep_trailing_newline=True).from_string(BADGE)
    page = Environment(autoescape=False).from_string(PAGE)  # noqa: S701 - Markdown, from our own table
    return {
        "kills.json": json.dumps(table, indent=1, ensure_ascii=False) + "\n",
        "kills.md": page.render(sentence=sentence, **table) + "\n",
        "kills.svg": made.render(label=LABEL_WIDTH, text=TEXT_WIDTH, **badge),
    }


def stale() -> list[str]:
    """Return a sentence for every committed file that is not as the table of today says."""
    try:
        committed = json.loads((FOLDER / "kills.json").read_text(encoding="utf-8"))
        entries = [one | {"killed": True, "verdict": "fail"} for one in committed["mutants"]]
        made = texts(of(entries))
    except (OSError, ValueError, KeyError) as error:
        return [f"docs/results/kills.json is no table of today's mutants: {error}"]
    return [
        f"docs/results/{name} is not made from kills.json; run python -m tools.kill_table"
        for name, text in made.items()
        if not (FOLDER / name).is_file() or (FOLDER / name).read_text(encoding="utf-8") != text
    ]


def main(arguments: list[str]) -> int:
    """Write the files, or with --check compare them; return the exit status."""
    if arguments == ["--check"]:
        faults = stale()
        for one in faults:
            print(one, file=sys.stderr)
        return 1 if faults else 0
    if arguments:
        print(f"kill_table: {arguments[0]!r} is no option: there is --check", file=sys.stderr)
        return 2
    try:
        table = of(json.loads(MEASURED.read_text(encoding="utf-8")))
    except (OSError, ValueError) as error:
        print(f"kill_table: {error}", file=sys.stderr)
        return 1
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name, text in texts(table).items():
        (FOLDER / name).write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
