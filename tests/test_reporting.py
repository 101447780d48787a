"""The site's words for the preliminary reading: what they are given, and every mistake in them."""

from dataclasses import replace

import pytest

from tests.core.test_report import WRIST, study
from triage import reporting
from triage.errors import TemplateFailed
from triage.settings.report import DEFAULT

MARK = "PRELIMINARY, computed by net 1, to be confirmed by a radiologist\n\n"


def test_the_shipped_text_is_sound_and_says_what_was_computed():
    reporting.check(DEFAULT)

    assert reporting.write({"any": DEFAULT}, study()) == (
        f"{MARK}Wrist, left, 2 views:\nno abnormality found (probability 0.20, threshold 0.50)."
    )


def test_a_study_type_has_its_own_text_before_that_for_any():
    templates = {"any": "Any.", "wrist": "Wrist {{ accession_number }} of {{ patient_name }}."}
    both = study(groups=[WRIST, replace(WRIST, study_type="hand")])

    assert reporting.write(templates, both) == f"{MARK}Wrist A1 of Muster^Erika.\n\nAny."


def test_a_site_that_has_no_text_for_a_study_type_has_none_for_its_studies():
    assert reporting.write({"hand": "Hand."}, study()) is None


def test_what_the_header_lacks_is_left_empty():
    written = reporting.write({"any": "({{ study_description }})"}, study())

    assert written == f"{MARK}()"


def test_what_a_sender_wrote_is_a_value_and_no_template():
    hostile = study(patient_name="{{ 7 * 7 }}{% for x in y %}", accession_number="A\x1b[2J\u202e")

    written = reporting.write({"any": "{{ patient_name }} {{ accession_number }}"}, hostile)

    assert written == f"{MARK}{{{{ 7 * 7 }}}}{{% for x in y %}} A\\u001b[2J\\u202e"


@pytest.mark.parametrize(
    ("template", "named"),
    [
        ("{{ study_type", "line 1: unexpected end of template"),
        ("one\n{% if side %}\ntwo", "line 3: "),
        ("{{ studytype }}", "there is no studytype; a template is given study_type, side, views"),
        ("{% if false %}{{ patient }}{% endif %}x", "there is no patient;"),
        ("{{ study_type.nothing }}", "has no attribute 'nothing'"),
        ("{{ study_type.__class__ }}", "unsafe"),
        ("{{ views / 0 }}", "ZeroDivisionError"),
        ("{{ side.upper() }}", "'None' has no attribute 'upper'"),
        ("{{ '%d' | format(model) }}", "TypeError"),
        ("{{ study_type | shout }}", "line 1: No filter named 'shout'"),
        ("{% include 'x' %}", "no loader"),
        ("{# nothing #}", "it makes no text"),
        ("{{ 'x' * 30000 }}", "30000 characters, and 20000 is the limit"),
    ],
)
def test_a_mistake_is_named_before_any_study_comes(template, named):
    with pytest.raises(ValueError, match=r".") as caught:
        reporting.check(template)

    assert named in str(caught.value)


def test_a_text_that_fails_on_a_study_is_named():
    with pytest.raises(TemplateFailed, match=r"report.normal, wrist: ZeroDivisionError"):
        reporting.write({"any": "{{ 1 / (views - 2) }}"}, study())
