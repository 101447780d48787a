"""A mistake in the site's words for the preliminary reading: named at start, and by doctor."""

import pytest


@pytest.mark.parametrize("command", [("serve",), ("doctor",), ("doctor", "--json")])
def test_a_mistake_in_a_template_is_named(tmp_path, triage, command):
    path = tmp_path / "triage.toml"
    path.write_text("[report.normal]\nwrist = 'fine'\nhand = '{{ hand }}'\n")

    code, out, err = triage("--config", path, *command)

    assert (code, out) == (2, "")
    assert f"{path}: report.normal.hand: there is no hand; a template is given study_type" in err
