"""The interface keeps what its description promises, whatever it is asked."""

import dataclasses

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    negative_data_rejection,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
    unsupported_method,
)

from tests.support.site import site_in
from triage.core import detail, worklist
from triage.web import models

CHECKS = [
    *(not_a_server_error, status_code_conformance, content_type_conformance),
    *(response_schema_conformance, response_headers_conformance),
    *(negative_data_rejection, unsupported_method),
]
NOT_BY_EXAMPLES = "^/api/v1/events$"  # its answer does not end


@pytest.fixture(
    scope="module", params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)]
)
def site(request, tmp_path_factory, new_database):
    with site_in(tmp_path_factory.mktemp("site"), new_database(request.param)) as site:
        for number in range(3):
            site.store.file(f"1.{number}", seconds=number, accession_number=f"A{number}")
        site.store.score(0.7)
        yield site


@pytest.fixture
def description(site):
    return schemathesis.openapi.from_asgi("/api/v1/openapi.json", site.app)


schema = schemathesis.pytest.from_fixture("description")


@schema.exclude(path_regex=NOT_BY_EXAMPLES).exclude(path_regex="^/api/v1/openapi").parametrize()
@settings(
    max_examples=12,
    deadline=None,
    derandomize=True,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)
def test_every_answer_is_as_described(case, site):
    answer = case.call(base_url="http://127.0.0.1:8042")

    case.validate_response(answer, checks=CHECKS)


def test_every_operation_is_described(site):
    described = site.client.get("/api/v1/openapi.json").json()
    operations = {
        f"{method.upper()} {path}" for path, item in described["paths"].items() for method in item
    }

    assert operations >= {
        "GET /api/v1/worklist",
        "GET /api/v1/events",
        "GET /api/v1/studies/{study}",
        "POST /api/v1/studies/{study}/claim",
        "POST /api/v1/studies/{study}/release",
        "POST /api/v1/studies/{study}/read",
        "POST /api/v1/studies/{study}/rescore",
        "GET /api/v1/metrics",
        "GET /healthz",
        "GET /readyz",
        "GET /metrics",
    }


def test_every_error_is_described_as_a_problem(site):
    described = site.client.get("/api/v1/openapi.json").json()

    for path, item in described["paths"].items():
        for operation in item.values():
            for status, answer in operation["responses"].items():
                if status >= "400" and path.startswith("/api/v1/"):
                    assert list(answer["content"]) == ["application/problem+json"], (path, status)


@pytest.mark.parametrize(
    ("described", "record"),
    [
        (models.WorklistRow, worklist.WorklistRow),
        (models.Group, detail.GroupDetail),
        (models.Instance, detail.InstanceDetail),
        (models.HistoryLine, detail.HistoryLine),
    ],
    ids=lambda kind: kind.__name__,
)
def test_what_is_described_has_the_fields_of_what_is_told(described, record):
    assert list(described.model_fields) == [field.name for field in dataclasses.fields(record)]
