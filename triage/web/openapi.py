"""The description of the interface: what FastAPI makes of the code, and what it cannot know."""

from collections.abc import Iterator
from typing import Any

from fastapi import FastAPI

from triage.web.models import Problem
from triage.web.problems import MEDIA_TYPE

_SAID = {
    400: "The request's body is not JSON.",
    401: "Nobody has logged in.",
    403: "Who asks may not do that.",
    404: "There is no such study.",
    409: "The study's state forbids it, or several have this accession number.",
    422: "A parameter or the body is not as described.",
    503: "The database is not available; try again in a moment.",
}


def problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Describe the errors of a path operation."""
    return {status: {"model": Problem, "description": _SAID[status]} for status in statuses}


def describe(app: FastAPI) -> None:
    """Have *app* describe its errors as what they are."""
    make = app.openapi

    def openapi() -> dict[str, Any]:
        made = app.openapi_schema is not None
        schema = make()
        if not made:
            for content in _of_errors(schema):
                content[MEDIA_TYPE] = content.popitem()[1]
        return schema

    app.openapi = openapi  # type: ignore[method-assign]


def _of_errors(schema: dict[str, Any]) -> Iterator[dict[str, Any]]:
    problem = f"#/components/schemas/{Problem.__name__}"
    for path in schema["paths"].values():
        for operation in path.values():
            for response in operation["responses"].values():
                content = response.get("content", {})
                if any(each.get("schema", {}).get("$ref") == problem for each in content.values()):
                    yield content
