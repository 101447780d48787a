"""The look for persons in a log finds them: else the whole suite would prove nothing."""

import json

import pytest

from tests.support.persons import BIRTH_DATE, FAMILIES, found_in, name_of

LINE = '{{"event": "x", "reason": {}, "sop_instance_uid": "2.25.118870214999"}}'


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize(
    "written",
    [
        lambda text: text,
        lambda text: f"invalid value: {text.lower()!r}",
        lambda text: ascii(text),
        lambda text: str(text.encode()),
        lambda text: text.encode().decode("latin-1"),
    ],
)
@pytest.mark.parametrize("dumped", [json.dumps, lambda text: json.dumps(text, ensure_ascii=False)])
def test_a_name_is_found_however_it_is_written(family, written, dumped):
    line = LINE.format(dumped(written(f"{family}^EVA")))

    assert found_in(f"{LINE.format(1)}\n{line}\n".encode()) == [line]


def test_a_name_in_the_traceback_of_a_library_is_found():
    assert found_in(f"ValueError: {FAMILIES[1]} is no name\n".encode())


@pytest.mark.parametrize(
    "date", [BIRTH_DATE, "1887-02-14", "14.02.1887", "datetime.date(1887, 2, 14)"]
)
def test_a_birth_date_is_found(date):
    assert found_in(LINE.format(json.dumps(f"born {date}")).encode())


def test_uids_and_tracebacks_hold_no_names():
    source = "    raise Failed\n    ^^^^^^^^^^^^\n"
    assert found_in((LINE.format(2) + "\n" + source).encode()) == []


def test_the_names_are_in_use():
    assert {name_of(f"STUDY{number}").partition("^")[0] for number in range(40)} == set(FAMILIES)
