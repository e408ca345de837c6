"""A fake of Databricks' Jobs API for runs: idempotency tokens, states, tasks and outputs."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from jobs_api import TOKEN, Workspace
from jobs_shapes import TEXTS, Refused, check

if TYPE_CHECKING:
    from pathlib import Path

    import pytest
    from http_api import Json

MAX_TOKEN = 64
PASSING = {"QUEUED", "PENDING", "RUNNING", "TERMINATING", "BLOCKED", "WAITING"}


@dataclass
class RunsWorkspace(Workspace):
    """A workspace whose runs go on by one state with each look.

    Attributes:
        course: The states of a new run; it stays in the last one that passes while `holds`.
        holds: Whether runs go on and do not end.
        end: The termination details of a run that ends.
        output: The output of its last task.
        is_old: Whether runs have only the older `state`, with the end as its result.
        asked: The body of each `run-now` that started a run.

    """

    course: tuple[str, ...] = ("QUEUED", "PENDING", "RUNNING")
    holds: bool = False
    end: Json = field(default_factory=lambda: {"code": "SUCCESS", "type": "SUCCESS"})
    output: Json = field(default_factory=dict)
    tasks: list[Json] = field(default_factory=lambda: [{"task_key": "main"}])
    is_old: bool = False
    asked: list[Json] = field(default_factory=list)
    cancelled: list[int] = field(default_factory=list)

    def post_jobs_run_now(self, body: Json) -> Json:
        """jobs/run-now"""  # noqa: D400
        check(body, {"job_id": int, "idempotency_token": str, "job_parameters": TEXTS}, "body")
        token = body["idempotency_token"]
        if len(token) > MAX_TOKEN:
            raise Refused("The idempotency token must have at most 64 characters.")
        job_id = self._job(body["job_id"])
        if token not in self.tokens:
            self.tokens[token] = self.add_run(job_id)
            self.runs[self.tokens[token]]["course"] = list(self.course)
            self.asked.append(body)
        return {"run_id": self.tokens[token], "number_in_job": 1}

    def get_jobs_runs_get(self, query: Json) -> Json:
        """jobs/runs/get"""  # noqa: D400
        check(query, {"run_id": str}, "query")
        run = self._run(int(query["run_id"]))
        course = run["course"]
        now = course[0] if course else "TERMINATED"
        if len(course) > 1 or (course and not self.holds):
            course.pop(0)
        tasks = [
            {"run_id": run["run_id"] * 10 + number, **task, **self._states(run, now)}
            for number, task in enumerate(self.tasks)
        ]
        shown = {name: run[name] for name in ("run_id", "job_id", "run_page_url")}
        return shown | {"tasks": tasks} | self._states(run, now)

    def get_jobs_runs_get_output(self, query: Json) -> Json:
        """jobs/runs/get-output"""  # noqa: D400
        check(query, {"run_id": str}, "query")
        run_id, number = divmod(int(query["run_id"]), 10)
        if number != len(self.tasks) - 1:
            raise Refused("Retrieving the output of this task is not supported.")
        return {"metadata": {"run_id": self._run(run_id)["run_id"]}} | self.output

    def post_jobs_runs_cancel(self, body: Json) -> Json:
        """jobs/runs/cancel"""  # noqa: D400
        check(body, {"run_id": int}, "body")
        run = self._run(body["run_id"])
        self.cancelled.append(run["run_id"])
        run["course"], run["end"] = [], {"code": "USER_CANCELED", "message": "Run cancelled."}
        return {}

    def _run(self, run_id: int) -> Json:
        if run_id not in self.runs:
            raise Refused(f"Run {run_id} does not exist.")
        return self.runs[run_id]

    def _states(self, run: Json, now: str) -> dict[str, Any]:
        end = run.get("end", self.end)
        ended = now not in PASSING
        if self.is_old:
            result = {"result_state": end["code"]} if ended else {}
            return {
                "state": {"life_cycle_state": now, "state_message": end.get("message", "")} | result
            }
        return {"status": {"state": now} | ({"termination_details": end} if ended else {})}


class Reached(Protocol):
    """A workspace that is served."""

    url: str


def log_in(workspace: Reached, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Log the SDK in to a workspace, by its own variables and no others."""
    for name in [name for name in os.environ if name.startswith(("DATABRICKS_", "ARM_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("DATABRICKS_HOST", workspace.url)
    monkeypatch.setenv("DATABRICKS_TOKEN", TOKEN)
