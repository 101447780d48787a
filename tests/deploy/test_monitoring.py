"""The example alerts and the dashboard: they speak of what is measured, and fire when they should."""

import json
import re
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.support.site import WELL
from triage.core.load import Load
from triage.core.worklist import Priority
from triage.settings import Settings
from triage.web.metrics import Measured, exposition

DEPLOY = Path(__file__).parents[2] / "deploy"
ALERTS = DEPLOY / "prometheus-alerts.yml"
DASHBOARD = json.loads((DEPLOY / "grafana-dashboard.json").read_text("utf-8"))
NAME = re.compile(r"\btriage_\w+")
DRIFTS = [("study_type", "hand", True), ("station", "", False)]
IDLE = Load(
    studies=dict.fromkeys(Priority, 0),
    overdue=0,
    longest_wait=0.0,
    receiving=0,
    views=0,
    longest_view_wait=0.0,
)


@pytest.fixture(scope="module")
def measured():
    """The names and label names of all that /metrics tells."""
    text, _ = exposition(
        Measured(condition=WELL, settings=Settings(), load=IDLE, free=1, pages=0, drifts=DRIFTS), ""
    )
    return {
        sample.name: set(sample.labels)
        for family in text_string_to_metric_families(text.decode())
        for sample in family.samples
    }


def expressions():
    """Yield every PromQL expression of the dashboard, its variables filled in."""
    for panel in DASHBOARD["panels"]:
        for target in panel["targets"]:
            filled = target["expr"].replace("$__rate_interval", "5m").replace("$instance", ".*")
            yield panel["title"], filled


def promtool(*arguments):
    return subprocess.run(
        ["promtool", *map(str, arguments)], capture_output=True, text=True, check=False
    )


def test_the_alerts_speak_of_what_is_measured(measured):
    rules = re.sub(r"^\s*#.*$", "", ALERTS.read_text("utf-8"), flags=re.MULTILINE)
    named = set(NAME.findall(re.sub(r"\$labels\.\w+", "", rules)))

    assert len(named) > 12
    assert named <= measured.keys()


def test_the_dashboard_speaks_of_what_is_measured(measured):
    named = {name for _, expression in expressions() for name in NAME.findall(expression)}

    assert len(named) > 15
    assert named <= measured.keys()


def test_the_labels_that_are_asked_for_exist(measured):
    asked = re.findall(r"(triage_\w+)\{([^}]*)\}", ALERTS.read_text("utf-8"))
    asked += re.findall(r"(triage_\w+)\{([^}]*)\}", "\n".join(e for _, e in expressions()))

    for name, selectors in asked:
        labels = set(re.findall(r"(\w+)\s*(?:=~|!~|!=|=)", selectors)) - {"instance"}
        assert labels <= measured[name], name


def test_the_guide_names_every_alert():
    guide = (DEPLOY / "OPERATIONS.md").read_text("utf-8")
    alerts = re.findall(r"- alert: (\w+)", ALERTS.read_text("utf-8"))

    assert len(alerts) > 12
    assert [alert for alert in alerts if f"`{alert}`" not in guide] == []


def test_the_guide_names_everything_that_is_measured(measured):
    guide = (DEPLOY / "OPERATIONS.md").read_text("utf-8")
    families = {re.sub(r"_(bucket|sum|count|created)$", "", name) for name in measured}

    assert sorted(name for name in families if f"`{name}" not in guide) == []


def test_the_panels_of_the_dashboard_do_not_overlap():
    taken = [
        (x, y)
        for panel in DASHBOARD["panels"]
        for place in [panel["gridPos"]]
        for x in range(place["x"], place["x"] + place["w"])
        for y in range(place["y"], place["y"] + place["h"])
    ]

    assert len(set(taken)) == len(taken)
    assert max(x for x, _ in taken) == 23
    assert all(panel["description"] for panel in DASHBOARD["panels"])


@pytest.mark.prometheus
def test_prometheus_finds_no_mistake_in_the_alerts():
    checked = promtool("check", "rules", ALERTS)

    assert checked.returncode == 0, checked.stderr


@pytest.mark.prometheus
def test_prometheus_finds_no_mistake_in_the_dashboard(tmp_path):
    rules = [
        {"record": f"panel:number{number}", "expr": expression}
        for number, (_, expression) in enumerate(expressions())
    ]
    path = tmp_path / "rules.json"  # JSON is YAML
    path.write_text(json.dumps({"groups": [{"name": "dashboard", "rules": rules}]}), "utf-8")

    checked = promtool("check", "rules", path)

    assert checked.returncode == 0, checked.stderr


@pytest.mark.prometheus
def test_prometheus_finds_no_mistake_in_what_is_measured():
    told, _ = exposition(
        Measured(
            condition=replace(WELL), settings=Settings(), load=IDLE, free=1, pages=0, drifts=DRIFTS
        ),
        "",
    )

    checked = subprocess.run(
        ["promtool", "check", "metrics"], input=told, capture_output=True, check=False
    )

    assert checked.returncode == 0, checked.stdout + checked.stderr


# Of each alert that must fire: its series, when it is asked for, and its labels; every other
# alert must stay silent beside it.
HERE = 'instance="here"'
FIRES = {
    "TriageDown": ({f'up{{job="triage",{HERE}}}': "0x10"}, "5m"),
    "TriageDatabaseDown": ({f"triage_database_up{{{HERE}}}": "1 1 0x10"}, "5m"),
    "TriageReceiverDown": ({f"triage_receiver_up{{{HERE}}}": "0x10"}, "5m"),
    "TriageScorerNotReady": (
        {f'triage_scorer_state{{triage_scorer_state="no model",{HERE}}}': "1x10"},
        "7m",
    ),
    "TriageSpoolFull": (
        {
            f"triage_spool_free_bytes{{{HERE}}}": "99x10",
            f"triage_spool_min_free_bytes{{{HERE}}}": "100x10",
        },
        "5m",
    ),
    "TriageStudyWaitsTooLong": (
        {
            f"triage_worklist_longest_wait_seconds{{{HERE}}}": "14000+60x60",
            f"triage_worklist_max_wait_seconds{{{HERE}}}": "14400x60",
        },
        "45m",
    ),
    "TriageProcessesEnd": (
        {f'triage_process_ends_total{{process="scorer",{HERE}}}': "0+1x20"},
        "15m",
    ),
    "TriageImagesNotKept": (
        {f'triage_instances_received_total{{outcome="later",{HERE}}}': "0x3 4x10"},
        "6m",
    ),
}
SILENT = {
    "no limit is set": {
        f"triage_worklist_longest_wait_seconds{{{HERE}}}": "99999x60",
        f"triage_worklist_max_wait_seconds{{{HERE}}}": "0x60",
    },
    "it scores": {f'triage_scorer_state{{triage_scorer_state="ready",{HERE}}}': "1x60"},
    "objects come": {f'triage_instances_received_total{{outcome="new",{HERE}}}': "0+3x60"},
}


def fired(tmp_path, series, at):
    """Return the names of the alerts that fire, by a test that expects none of them."""
    test = {
        "rule_files": [str(ALERTS)],
        "evaluation_interval": "1m",
        "tests": [
            {
                "interval": "1m",
                "input_series": [{"series": s, "values": v} for s, v in series.items()],
                "alert_rule_test": [
                    {"eval_time": at, "alertname": alert, "exp_alerts": []}
                    for alert in re.findall(r"- alert: (\w+)", ALERTS.read_text("utf-8"))
                ],
            }
        ],
    }
    path = tmp_path / "test.json"
    path.write_text(json.dumps(test), "utf-8")
    ran = promtool("test", "rules", path)
    assert ran.returncode == 0 or "FAILED" in ran.stdout + ran.stderr, ran.stderr
    return set(re.findall(r"alertname:\s*(\w+)", ran.stdout + ran.stderr))


@pytest.mark.prometheus
@pytest.mark.parametrize("alert", FIRES)
def test_an_alert_fires_and_no_other_beside_it(tmp_path, alert):
    series, at = FIRES[alert]

    assert fired(tmp_path, series, at) == {alert}


@pytest.mark.prometheus
@pytest.mark.parametrize("what", SILENT)
def test_no_alert_fires_without_a_reason(tmp_path, what):
    assert fired(tmp_path, SILENT[what], "50m") == set()


@pytest.mark.prometheus
@pytest.mark.parametrize(("today", "fires"), [(0.7, True), (0.32, False)])
def test_drift_is_another_share_of_abnormal_views_than_in_the_week_before(tmp_path, today, fires):
    """30 wrist views an hour, 30 % of them abnormal for a week; then a day of another share."""
    week, day = 8 * 24, 24
    normal, changed = 30 * 0.7, 30 * (1 - today)
    below = f"0+{normal:g}x{week} {normal * week + changed:g}+{changed:g}x{day - 1}"
    bucket = 'triage_view_probability_bucket{study_type="wrist",le="0.5"}'
    test = {
        "rule_files": [str(ALERTS)],
        "evaluation_interval": "1h",
        "tests": [
            {
                "interval": "1h",
                "input_series": [
                    {"series": bucket, "values": below},
                    {
                        "series": 'triage_view_probability_count{study_type="wrist"}',
                        "values": f"0+30x{week + day}",
                    },
                ],
                "alert_rule_test": [
                    {
                        "eval_time": f"{week + day}h",
                        "alertname": "TriageScoresDrift",
                        "exp_alerts": [],
                    }
                ],
            }
        ],
    }
    path = tmp_path / "test.json"
    path.write_text(json.dumps(test), "utf-8")

    ran = promtool("test", "rules", path)

    assert (ran.returncode != 0) is fires, ran.stdout + ran.stderr
    if fires:
        assert 'study_type="wrist"' in ran.stdout + ran.stderr
