"""Picture: the demo as an SVG of a terminal, made from a real run.

Rules of this file: what is shown is what the demo printed, and how much of it is left out is said; the
picture loads nothing, not even a font, and reads on white and on dark.
"""

from __future__ import annotations

import io
import re
import shutil
from collections.abc import Mapping
from dataclasses import replace
from html import escape
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.terminal_theme import TerminalTheme

from tools import demo
from tools.demo import VERDICT, WIDTH, Scene
from tools.processes import ROOT
from tools.recording.made import RecordError, made

FILE = ROOT / "docs" / "assets" / "demo.svg"
COMMAND = "python -m tools.record picture"
TELLING = (
    *("calling", "offer", "the offer has left", "incoming", "it rings", "accepted", "answered", "set up"),
    *("dialling", "a direct path to", "the path is", "heard", "the call is over", "hung up"),
)
"""How the moments begin that the picture shows."""
MOST_LINES, MOST_BYTES = 45, 60_000
FONT = "ui-monospace,SFMono-Regular,Menlo,Consolas,'DejaVu Sans Mono','Liberation Mono',monospace"
THEME = TerminalTheme(
    (27, 31, 36),
    (230, 237, 243),
    [(27, 31, 36), (255, 143, 135), (126, 231, 135), (240, 200, 110), (140, 180, 255), (227, 156, 243),
     (124, 213, 232), (230, 237, 243)],
)  # fmt: skip
"""Dark, with colours that can be read on it."""
TITLE = "make demo: three calls on one machine"
FORMAT = """<svg class="demo" role="img" aria-labelledby="{unique_id}-name {unique_id}-words" \
viewBox="0 0 {width} {height}" xmlns="http://www.w3.org/2000/svg">
<title id="{unique_id}-name">{{name}}</title>
<desc id="{unique_id}-words">{{words}}</desc>
<style>
.{unique_id}-matrix {{ font-family: {{font}}; font-size: {char_height}px; white-space: pre }}
.{unique_id}-title {{ font: bold 16px sans-serif }}
{styles}
</style>
<defs>
<clipPath id="{unique_id}-clip-terminal">
<rect x="0" y="0" width="{terminal_width}" height="{terminal_height}"/>
</clipPath>
{lines}
</defs>
{chrome}
<g transform="translate({terminal_x}, {terminal_y})" clip-path="url(#{unique_id}-clip-terminal)">
{backgrounds}
<g class="{unique_id}-matrix">
{matrix}
</g>
</g>
</svg>
"""


def cut(scene: Scene) -> Scene:
    """Return a scene with its telling moments alone."""
    return replace(scene, moments=[one for one in scene.moments if one[2].startswith(TELLING)])


def drawn(scenes: Mapping[str, Scene], words: str) -> str:
    """Return the picture of a run: the first call as it went, and the verdicts of all."""
    console = Console(
        file=io.StringIO(), record=True, width=WIDTH, force_terminal=True, color_system="truecolor",
        highlight=False, emoji=False, legacy_windows=False,
    )  # fmt: skip
    verdict = Table("call", *VERDICT, show_edge=False)
    for name, scene in scenes.items():
        for one in scene.flows:
            verdict.add_row(name, *demo.judged(one))
    first = next(iter(scenes.values()))
    short = cut(first)
    left = f"… {len(first.moments) - len(short.moments)} of {len(first.moments)} moments are left out"
    console.print("$ make demo", "", demo.timeline(short), left, "", verdict, sep="\n")
    lines = len(console.export_text(clear=False).splitlines())
    if lines > MOST_LINES:
        raise RecordError(f"the picture of the demo has {lines} lines, more than {MOST_LINES}")
    svg = console.export_svg(title=TITLE, theme=THEME, code_format=FORMAT, unique_id="demo")
    svg = svg.replace("{name}", escape(TITLE)).replace("{words}", escape(words)).replace("{font}", FONT)
    return re.sub(r"[ \t]+$", "", svg, flags=re.MULTILINE)


def record() -> Path:
    """Perform the demo and draw it; return the file. Raises RecordError when a call went wrong."""
    console = Console(highlight=False, emoji=False, width=WIDTH)
    shutil.rmtree(demo.OUT, ignore_errors=True)
    scenes = {}
    for name in demo.CALLS:
        scene, faults = demo.perform(name, console)
        if scene is None or faults:
            raise RecordError(f"the demo went wrong: {'; '.join(faults)}")
        scenes[name] = scene
    how = made(COMMAND)
    words = (
        f"What the demo printed on {how['date']}, shortened. Made by {how['command']} on {how['machine']}."
    )
    FILE.parent.mkdir(parents=True, exist_ok=True)
    FILE.write_text(drawn(scenes, words), encoding="utf-8")
    return FILE


def faults() -> list[str]:
    """Return a sentence for everything that is wrong with the committed picture."""
    try:
        text = FILE.read_text(encoding="utf-8")
    except OSError as error:
        return [f"{FILE.name}: {error.strerror}"]
    found = []
    if len(text.encode()) > MOST_BYTES:
        found.append(f"{FILE.name} has {len(text.encode())} bytes, more than {MOST_BYTES}")
    outside = re.findall(r"""(?:@import|@font-face|url\((?!#)|(?:href|src)=)[^\s>]*""", text)
    found += [f"{FILE.name} loads something: {one}" for one in outside]
    if COMMAND not in text or "<title" not in text:
        found.append(f"{FILE.name} does not say what it is and how it was made")
    return found
