"""The interface keeps what its description promises, whatever it is asked."""

import dataclasses
from typing import TYPE_CHECKING, cast

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    negative_data_rejection,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from tests.support.site import site_in
from triage.core import detail, worklist
from triage.web import models
from triage.web.app import make_app

if TYPE_CHECKING:
    from triage.web.site import Site

CHECKS = [
    *(not_a_server_error, status_code_conformance, content_type_conformance),
    *(response_schema_conformance, response_headers_conformance, negative_data_rejection),
]
STUDY = "/api/v1/studies/{study}"
STREAM = ("GET", "/api/v1/events")  # whose answer does not end
EVERYTHING = {
    (method.upper(), path)
    for path, item in make_app(cast("Site", None)).openapi()["paths"].items()
    for method in item
}
OPERATIONS = sorted(EVERYTHING - {STREAM})
EXAMPLES = 6  # of each operation


@pytest.fixture(
    scope="module", params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)]
)
def site(request, tmp_path_factory, new_database):
    with site_in(tmp_path_factory.mktemp("site"), new_database(request.param)) as site:
        for number in range(3):
            site.store.file(f"1.{number}", seconds=number, accession_number=f"A{number}")
        site.store.score(0.7)
        yield site


@pytest.fixture(scope="module")
def schema(site):
    return schemathesis.openapi.from_dict(described(site))


def described(site):
    return site.client.get("/api/v1/openapi.json").json()


def answers(site, cases):
    """Ask what *cases* says, look at each answer, and return the statuses."""
    statuses = []

    @given(case=cases)
    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        derandomize=True,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    def ask(case):
        asked = case.as_transport_kwargs(base_url="http://127.0.0.1:8042")
        if isinstance(asked.get("data"), bytes):
            asked["content"] = asked.pop("data")
        asked.pop("cookies", None)
        answer = site.client.request(**asked)
        case.validate_response(answer, checks=CHECKS)
        statuses.append(answer.status_code)

    ask()
    return statuses


@pytest.mark.parametrize(("method", "path"), OPERATIONS)
def test_what_the_description_allows_is_answered_as_described(site, schema, method, path):
    known = {}
    if "{study}" in path:
        known = {"path_parameters": {"study": "1.1", "sop_instance_uid": "1.1.1", "frame": 1}}
        known["path_parameters"] = {
            name: value for name, value in known["path_parameters"].items() if f"{{{name}" in path
        }

    statuses = answers(site, schema[path][method].as_strategy(**known))

    if ".png" in path:  # of an image whose file is not there
        assert set(statuses) & {404, 422}
    else:
        assert any(status < 300 for status in statuses)
    if known:  # most texts name no study
        assert 404 in answers(site, schema[path][method].as_strategy())


# Of those that take more than the name of a study, which may be almost any text.
@pytest.mark.parametrize(
    ("method", "path"), [("GET", "/api/v1/worklist"), ("POST", f"{STUDY}/read")]
)
def test_what_the_description_forbids_is_refused_as_described(site, schema, method, path):
    wrong = schema[path][method].as_strategy(
        generation_mode=GenerationMode.NEGATIVE, path_parameters={"study": "1.1"}
    )

    statuses = answers(site, wrong)

    # Which of them it had to refuse, the check of each answer has said: no body is no mistake.
    assert 422 in statuses


@pytest.mark.parametrize(("method", "path"), OPERATIONS)
def test_a_method_that_is_not_described_is_refused(site, method, path):
    named = path.replace("{study}", "1.1").replace("{sop_instance_uid}", "1.1.1")
    answer = site.client.delete(named.replace("{frame}", "1"))

    assert (answer.status_code, answer.headers["allow"]) == (405, method)


def test_every_error_is_described_as_a_problem(site):
    for path, item in described(site)["paths"].items():
        for operation in item.values():
            for status, answer in operation["responses"].items():
                if status >= "400" and path.startswith("/api/v1/"):
                    assert list(answer["content"]) == ["application/problem+json"], (path, status)


@pytest.mark.parametrize(
    ("told", "record"),
    [
        (models.WorklistRow, worklist.WorklistRow),
        (models.Group, detail.GroupDetail),
        (models.Instance, detail.InstanceDetail),
        (models.HistoryLine, detail.HistoryLine),
    ],
    ids=lambda kind: kind.__name__,
)
def test_what_is_described_has_the_fields_of_what_is_told(told, record):
    assert list(told.model_fields) == [field.name for field in dataclasses.fields(record)]
