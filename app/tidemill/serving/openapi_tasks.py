"""Describe long tasks in the OpenAPI document: a path for each job, and those of runs."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

from tidemill.serving.http_tasks import LIMIT, MAX_LIMIT, PATH
from tidemill.serving.openapi_schemas import PROBLEM, TEXT

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tidemill.tasks.job import Job

STATES: Final = ["waiting", "running", "succeeded", "failed", "cancelled"]
NULLABLE: Final = {"type": ["string", "null"]}
TIME: Final = {"type": "string", "format": "date-time"}
NO_TIME_YET: Final = {"type": ["string", "null"], "format": "date-time"}
RUN: Final = {
    "type": "object",
    "properties": {
        "id": TEXT,
        "job": TEXT,
        "state": {"enum": STATES},
        "attempt": {"type": "integer", "description": "How often it was begun."},
        "progress": {"type": "number", "minimum": 0, "maximum": 1},
        "phrase": {**TEXT, "description": "What the job says about its progress."},
        "cancelling": {"type": "boolean", "description": "Whether somebody has cancelled it."},
        "worker": NULLABLE,
        "submitted": TIME,
        "started": NO_TIME_YET,
        "ended": NO_TIME_YET,
        "error": NULLABLE,
        "hint": NULLABLE,
    },
}
LATEST: Final = {
    "type": "object",
    "properties": {
        "final": {"type": "boolean", "description": "Whether it is the result of a run's end."},
        "result": {},
    },
}
# The name of a schema in a document may have only these characters.
ODD: Final = re.compile(r"[^A-Za-z0-9._-]")
ID: Final = {"name": "run", "in": "path", "required": True, "schema": TEXT}
KEY: Final = {
    "name": "Idempotency-Key",
    "in": "header",
    "description": "The same key returns the same run, however often it is sent.",
    "schema": TEXT,
}
FILTERS: Final = [
    {"name": "job", "in": "query", "schema": TEXT},
    {"name": "state", "in": "query", "schema": {"enum": STATES}},
    {
        "name": "limit",
        "in": "query",
        "schema": {"type": "integer", "minimum": 1, "maximum": MAX_LIMIT, "default": LIMIT},
    },
]


def paths(jobs: Iterable[Job]) -> dict[str, Any]:
    """Return the paths of jobs, and those of runs."""
    run = f"{PATH}/{{run}}"
    return {f"{PATH}/{quote(job.name, safe='')}": {"post": _submit(job)} for job in jobs} | {
        PATH: {"get": _list()},
        run: {"get": _of_run("A run", _run("The run."))},
        f"{run}/result": {"get": _of_run("The result of a run", _json("The result.", {}))},
        f"{run}/latest": {
            "get": _of_run("The result of a run, or the best so far", _json("It.", LATEST))
        },
        f"{run}/cancel": {"post": _of_run("Cancel a run", _run("The run."))},
        f"{run}/retry": {
            "post": _of_run("Run again what failed or was cancelled", _run("The run."))
        },
    }


def schemas(jobs: Iterable[Job]) -> dict[str, Any]:
    """Return the schemas that the paths refer to."""
    found: dict[str, Any] = {"Run": RUN}
    for job in jobs:
        for name, schema in job.schema_with(_template(job)).get("$defs", {}).items():
            found[_template(job).rpartition("/")[2].format(model=name)] = schema
    return found


def _template(job: Job) -> str:
    """Return where a definition of a job's schema is in the document."""
    return f"#/components/schemas/{ODD.sub('_', job.name)}.{{model}}"


def _submit(job: Job) -> dict[str, Any]:
    schema = {n: s for n, s in job.schema_with(_template(job)).items() if n != "$defs"}
    accepted = _run("The task is accepted; its run is at `Location`.")
    location = {"Location": {"description": "The path of the run.", "schema": TEXT}}
    return {
        "summary": f"Submit a task of {job.name}",
        "parameters": [KEY],
        "requestBody": {"required": True, "content": {"application/json": {"schema": schema}}},
        "responses": {"202": accepted | {"headers": location}, "default": PROBLEM},
    }


def _list() -> dict[str, Any]:
    runs = {"type": "array", "items": {"$ref": "#/components/schemas/Run"}}
    listed = _json("The runs.", {"type": "object", "properties": {"runs": runs}})
    return {
        "summary": "The latest runs, the newest first",
        "parameters": FILTERS,
        "responses": {"200": listed, "default": PROBLEM},
    }


def _of_run(summary: str, answer: dict[str, Any]) -> dict[str, Any]:
    return {
        "summary": summary,
        "parameters": [ID],
        "responses": {"200": answer, "default": PROBLEM},
    }


def _run(description: str) -> dict[str, Any]:
    return _json(description, {"$ref": "#/components/schemas/Run"})


def _json(description: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"description": description, "content": {"application/json": {"schema": schema}}}
