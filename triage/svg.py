"""Figures as SVG that takes its colours and font from the page and so follows its theme."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from io import StringIO
from typing import Any

import matplotlib as mpl
from matplotlib.figure import Figure

# Stand-ins that no other colour equals; each becomes the page's variable of that name.
COLOURS = {
    name: f"#0102{number:02x}"
    for number, name in enumerate(
        (
            "ink",
            "muted",
            "grid",
            "surface",
            "accent",
            "soft",
            *(f"rater{k}" for k in range(6)),
            "alarm",
        ),
        16,
    )
}
STYLE = {
    "svg.fonttype": "none",  # text stays text: it can be read aloud, searched and copied
    "font.size": 10,
    "text.parse_math": False,  # a $ in a rater's name is no formula
    "text.color": COLOURS["ink"],
    "axes.labelcolor": COLOURS["ink"],
    "axes.edgecolor": COLOURS["muted"],
    "axes.titlesize": 10,
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "xtick.color": COLOURS["muted"],
    "xtick.labelcolor": COLOURS["ink"],
    "ytick.color": COLOURS["muted"],
    "ytick.labelcolor": COLOURS["ink"],
    "grid.color": COLOURS["grid"],
    "grid.linewidth": 0.8,
    "legend.frameon": False,
}


@contextmanager
def drawing(name: str, width: float, height: float) -> Iterator[tuple[Figure, list[str]]]:
    """Give an empty figure, inches wide and high; behind the block the list holds its SVG."""
    drawn: list[str] = []
    style: Any = {**STYLE, "svg.hashsalt": name}  # one name, one output
    with mpl.rc_context(style):
        figure = Figure(figsize=(width, height), layout="constrained")
        figure.patch.set_alpha(0)
        yield figure, drawn
        for axes in figure.axes:
            axes.patch.set_alpha(0)
        stream = StringIO()
        figure.savefig(stream, format="svg", metadata={"Date": None})
    drawn.append(_themed(stream.getvalue(), name))


def _themed(svg: str, name: str) -> str:
    """Make the file a part of a page: no header, names of its own, the page's colours and fonts."""
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>|<style.*?</style>", "", svg, flags=re.DOTALL)
    # In the tags alone: what a rater is called is text.
    own = re.compile(r'( id="|url\(#|href="#)')
    svg = re.sub(r"<[^>]*>", lambda tag: _without_style(own.sub(rf"\g<1>{name}-", tag[0])), svg)
    for colour, value in COLOURS.items():
        svg = svg.replace(value, f"var(--{colour})")
    root = (
        '<svg aria-hidden="true" focusable="false" stroke-linejoin="round" stroke-linecap="butt" '
    )
    return svg.replace("<svg ", root, 1)


def _without_style(tag: str) -> str:
    """Say in attributes what a style says: a strict Content-Security-Policy admits no style."""
    tag = re.sub(r"font: ([\d.]+px) [^;\"]*", r"font-size: \1", tag)
    return re.sub(
        r' style="([^"]*)"',
        lambda style: re.sub(r"\s*([\w-]+):\s*([^;]+);?", r' \1="\2"', style[1]),
        tag,
    )
