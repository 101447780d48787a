"""Whatever the bytes: the header is read or refused, the view is there or a reason."""

import pytest

from tests.support import fuzz

pytestmark = pytest.mark.dcmtk


def test_damaged_objects_give_a_view_or_a_reason(tmp_path, report_figure):
    findings = fuzz.run(tmp_path, 0, 999)

    report_figure(f"damaged objects: {findings}")
    assert not findings.failures, "\n".join(findings.failures)


@pytest.mark.fuzz
def test_a_hundred_thousand_damaged_objects_give_a_view_or_a_reason(tmp_path, report_figure):
    findings = fuzz.run(tmp_path, 1_000, 100_999)

    # A codec that crashes ends a process that may die; it is counted, to be kept from it.
    report_figure(f"damaged objects: {findings}")
    assert not findings.failures, "\n".join(findings.failures)
    assert len(findings.crashes) < 100
