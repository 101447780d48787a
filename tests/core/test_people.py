"""Names of users: one person, however they are typed."""

import pytest

from triage.core.people import user_name


@pytest.mark.parametrize(
    ("written", "name"),
    [
        ("anna", "anna"),
        (" Anna ", "anna"),
        ("O'Neill, Mary-Jane", "o'neill, mary-jane"),
        ("HOSPITAL\\Anna", "hospital\\anna"),
        ("Jose\u0301", "josé"),
        ("MÜLLER", "müller"),
        ("a" * 64, "a" * 64),
    ],
)
def test_a_name_is_the_same_however_it_is_typed(written, name):
    assert user_name(written) == user_name(user_name(written)) == name


@pytest.mark.parametrize(
    "written", ["", "  ", "a" * 65, "a\nb", "a\x1b[2Jb", "a\u202eb", "local", "Triage", "a\ud800"]
)
def test_a_name_that_misleads_a_reader_of_the_trail_is_refused(written):
    with pytest.raises(ValueError, match="name"):
        user_name(written)
