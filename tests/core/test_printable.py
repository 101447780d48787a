"""Text from elsewhere, on a terminal."""

import json

import pytest

from triage.core.printable import printable


@pytest.mark.parametrize("text", ["Müller^Jörg", "山田^太郎", "שלום", "a\\b [bold]", "עברית\u200f"])
def test_what_people_write_stays_as_it_is(text):
    assert printable(text) == text


@pytest.mark.parametrize(
    "text",
    ["\x1b[2J", "\x9b2J", "\x1b]0;title\x07", "a\r\nb", "\x7f", "a\u202eb", "a\u2028b", "\udcff"],
)
def test_what_a_terminal_obeys_is_shown_as_json_writes_it(text):
    shown = printable(text)

    assert shown.isprintable()
    assert json.loads(f'"{shown}"') == text


def test_the_lines_of_our_own_texts_stay():
    assert printable("a\n\tb", keep="\n") == "a\n\\u0009b"
