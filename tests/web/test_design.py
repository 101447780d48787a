"""The colours of the pages can be told apart, in both themes."""

import re
from pathlib import Path

import pytest

from triage.web.app import STATIC

CSS = (STATIC / "triage.css").read_text("utf-8")
GROUNDS = ("ground", "surface", "raised", "chosen", "fresh")
# What is written on what (WCAG 2.2, 1.4.3), and what must be seen beside what (1.4.11).
WRITTEN = [(text, ground) for text in ("text", "quiet", "link") for ground in GROUNDS]
WRITTEN += [(f"on-{priority}", priority) for priority in ("high", "medium", "low")]
WRITTEN += [(text, ground) for text in ("good", "bad") for ground in ("ground", "surface")]
WRITTEN += [("high", ground) for ground in ("surface", "raised", "chosen")]
SEEN = [("edge", "ground"), ("edge", "surface"), ("bar", "surface"), ("bar", "line")]
SEEN += [("focus", ground) for ground in GROUNDS]
# What a browser would fetch; the names of XML's own spaces are none of it.
ELSEWHERE = re.compile(
    r"""(?:src|href|action)=["'](?:https?:)?//|(?:url|fetch|import)\(?\s*["']?(?:https?:)?//"""
)


def colours(css):
    return dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6});", css))


LIGHT = colours(CSS[: CSS.index("prefers-color-scheme")])
THEMES = {"light": LIGHT, "dark": LIGHT | colours(CSS[CSS.index("prefers-color-scheme") :])}


def luminance(colour):
    channels = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return sum(weight * c for weight, c in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def contrast(one, other):
    darker, lighter = sorted((luminance(one), luminance(other)))
    return (lighter + 0.05) / (darker + 0.05)


@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize(("pairs", "least"), [(WRITTEN, 4.5), (SEEN, 3.0)], ids=["text", "shapes"])
def test_colours_stand_out_from_what_is_behind_them(theme, pairs, least):
    named = THEMES[theme]

    found = {pair: round(contrast(named[pair[0]], named[pair[1]]), 2) for pair in pairs}

    assert {pair: ratio for pair, ratio in found.items() if ratio < least} == {}


def test_each_theme_has_colours_of_its_own():
    differing = {name for name in LIGHT if THEMES["dark"][name] != LIGHT[name]}

    assert differing == LIGHT.keys()


def test_the_pages_take_nothing_from_elsewhere():
    files = [*STATIC.iterdir(), *(STATIC.parent / "templates").iterdir()]
    for file in filter(Path.is_file, files):
        if file.suffix in (".css", ".js", ".html"):
            assert ELSEWHERE.findall(file.read_text("utf-8")) == [], file.name
