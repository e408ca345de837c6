"""A fake of Databricks' Jobs API: documented requests, state, pages, errors and faults."""

from __future__ import annotations

import json
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

from http_api import Asked, Json, served
from jobs_shapes import JOB, Refused, check

if TYPE_CHECKING:
    from collections.abc import Iterator

TOKEN = "dapi-canary-5f0c"
# The environment variables that describe a job on AWS.
VARIABLES = {
    "CLUSTER_NAME": "STAGE_NER",
    "IMAGE_NAME": "tidemill:stage",
    "ECR_REGISTRY": "123456789012.dkr.ecr.eu-west-1.amazonaws.com",
    "AWS_REGION": "eu-west-1",
    "INSTANCE_PROFILE_ARN": "arn:aws:iam::123456789012:instance-profile/tidemill",
    "INIT_SCRIPTS_DESTINATION_S3": "s3://bucket/init-script.sh",
    "LOG_DESTINATION_S3": "s3://bucket/logs",
    "INSTANCE_TYPE": "c5.xlarge",
    "SPARK_VERSION": "19.x-scala2.13",
    "MIN_WORKERS": "1",
    "MAX_WORKERS": "4",
}
# Variables for all clouds, and jobs on the two others.
EVERYWHERE = {
    name: VARIABLES[name]
    for name in ("CLUSTER_NAME", "SPARK_VERSION", "MIN_WORKERS", "MAX_WORKERS")
}
ON_AZURE = EVERYWHERE | {
    "IMAGE_NAME": "tidemill.azurecr.io/tidemill:stage",
    "INSTANCE_TYPE": "Standard_D4ds_v5",
    "REGISTRY_USERNAME": "puller",
    "REGISTRY_PASSWORD": "{{secrets/tidemill/registry}}",
    "INIT_SCRIPTS_DESTINATION": "abfss://c@account.dfs.core.windows.net/init-script.sh",
    "LOG_DESTINATION": "/Volumes/main/tidemill/logs",
}
ON_GCP = EVERYWHERE | {
    "IMAGE_NAME": "europe-west1-docker.pkg.dev/project/repository/tidemill:stage",
    "INSTANCE_TYPE": "n2-standard-4",
    "GOOGLE_SERVICE_ACCOUNT": "tidemill@project.iam.gserviceaccount.com",
    "INIT_SCRIPTS_DESTINATION": "gs://bucket/init-script.sh",
    "LOG_DESTINATION": "/Volumes/main/tidemill/logs",
}
RETRIES = ("max_retries", "min_retry_interval_millis", "retry_on_timeout")


@dataclass
class Fault:
    """A wrong response to some requests.

    Attributes:
        path: The endpoint that fails.
        status: The HTTP status; 0 to reset the connection.
        times: The number of requests that fail; later ones succeed.
        body: The body of the response.
        headers: The headers of the response.
        done: Whether the request is carried out, so that only its response is lost.

    """

    path: str
    status: int
    times: int = 1
    body: str = '{"error_code": "TEMPORARILY_UNAVAILABLE", "message": "later"}'
    headers: dict[str, str] = field(default_factory=dict)
    done: bool = False


@dataclass
class Workspace:
    """A workspace with jobs and their runs.

    Attributes:
        looks_to_end: The number of list requests until a cancelled run has ended.
        page_size: The number of items on a page.
        starts: Whether the workspace starts runs of continuous jobs.
        begins_between: Whether another client starts a run just before each `run-now`.

    """

    url: str = ""
    jobs: dict[int, Json] = field(default_factory=dict)
    runs: dict[int, Json] = field(default_factory=dict)
    tokens: dict[str, int] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)
    seen: Counter[str] = field(default_factory=Counter)
    looks_to_end: int = 2
    page_size: int = 2
    starts: bool = True
    begins_between: bool = False
    next_id: int = 100

    def add_job(self, name: str, **settings: Any) -> int:  # noqa: ANN401 - JSON
        """Add an existing job."""
        self.next_id += 1
        self.jobs[self.next_id] = {"name": name, **settings}
        return self.next_id

    def add_run(self, job_id: int, state: str = "RUNNING") -> int:
        """Add a run of a job."""
        self.next_id += 1
        self.runs[self.next_id] = {
            "run_id": self.next_id,
            "job_id": job_id,
            "run_page_url": f"{self.url}/#job/{job_id}/run/{self.next_id}",
            "state": {"life_cycle_state": state, "state_message": "as requested"},
            "settings": self.jobs[job_id],
        }
        return self.next_id

    def active(self, job_id: int | None = None) -> list[Json]:
        """Return the runs that have not ended, of one job or of all."""
        return [
            run
            for run in self.runs.values()
            if run["state"]["life_cycle_state"] in {"PENDING", "RUNNING", "TERMINATING"}
            and job_id in {None, run["job_id"]}
        ]

    # --- the endpoints ---------------------------------------------------------------------------

    def get_jobs_list(self, query: Json) -> Json:
        """jobs/list"""  # noqa: D400
        check(query, {"limit": str, "name": str, "page_token": str, "expand_tasks": str}, "query")
        wanted = query.get("name", "").lower()
        jobs = [
            {"job_id": job_id, "settings": settings}
            for job_id, settings in self.jobs.items()
            if wanted in {"", settings["name"].lower()}
        ]
        return self._page("jobs", jobs, query)

    def get_jobs_get(self, query: Json) -> Json:
        """jobs/get, with what the API adds"""  # noqa: D400
        check(query, {"job_id": str}, "query")
        job_id = self._job(int(query["job_id"]))
        added = {"format": "MULTI_TASK", "email_notifications": {}, "timeout_seconds": 0}
        return {"job_id": job_id, "settings": added | self.jobs[job_id]}

    def post_jobs_create(self, body: Json) -> Json:
        """jobs/create"""  # noqa: D400
        self._accept(body)
        job_id = self.add_job(**body)
        self._continue(job_id)
        return {"job_id": job_id}

    def post_jobs_reset(self, body: Json) -> Json:
        """jobs/reset"""  # noqa: D400
        check(body, {"job_id": int, "new_settings": JOB}, "body")
        self._accept(body["new_settings"])
        self.jobs[self._job(body["job_id"])] = body["new_settings"]
        self._continue(body["job_id"])
        return {}

    def get_jobs_runs_list(self, query: Json) -> Json:
        """jobs/runs/list"""  # noqa: D400
        check(query, {"job_id": str, "active_only": str, "page_token": str}, "query")
        job_id = self._job(int(query["job_id"]))
        for run in self.active(job_id):
            if run["state"]["life_cycle_state"] == "TERMINATING":
                run["looks"] = run.get("looks", 0) + 1
                if run["looks"] > self.looks_to_end:
                    run["state"]["life_cycle_state"] = "TERMINATED"
                    self._continue(job_id)
        assert query["active_only"] == "true"
        return self._page("runs", self.active(job_id), query)

    def post_jobs_runs_cancel(self, body: Json) -> Json:
        """jobs/runs/cancel"""  # noqa: D400
        check(body, {"run_id": int}, "body")
        state = self.runs[body["run_id"]]["state"]
        if state["life_cycle_state"] in {"PENDING", "RUNNING"}:
            state["life_cycle_state"] = "TERMINATING"
        return {}

    def post_jobs_run_now(self, body: Json) -> Json:
        """jobs/run-now"""  # noqa: D400
        check(body, {"job_id": int, "idempotency_token": str}, "body")
        job_id = self._job(body["job_id"])
        token = body.get("idempotency_token", "")
        if token not in self.tokens:
            if self.begins_between:
                self.add_run(job_id)
            busy = len(self.active(job_id)) >= self.jobs[job_id]["max_concurrent_runs"]
            self.tokens[token] = self.add_run(job_id, "SKIPPED" if busy else "PENDING")
        return {"run_id": self.tokens[token], "number_in_job": self.tokens[token]}

    def get_jobs_runs_get(self, query: Json) -> Json:
        """jobs/runs/get"""  # noqa: D400
        check(query, {"run_id": str}, "query")
        return {name: self.runs[int(query["run_id"])][name] for name in RUN}

    # --- shared by the endpoints -----------------------------------------------------------------

    def _page(self, name: str, items: list[Json], query: Json) -> Json:
        first = int(query.get("page_token", 0))
        rest = first + self.page_size
        more = {"next_page_token": str(rest)} if rest < len(items) else {}
        shown = [{k: v for k, v in item.items() if k != "looks"} for item in items[first:rest]]
        return ({name: shown} if shown else {}) | {"has_more": bool(more)} | more

    def _job(self, job_id: int) -> int:
        if job_id not in self.jobs:
            raise Refused(f"Job {job_id} does not exist.")
        return job_id

    def _accept(self, settings: Json) -> None:
        check(settings, JOB, "settings")
        if "continuous" in settings and any(set(RETRIES) & set(t) for t in settings["tasks"]):
            raise Refused("Retries are not supported for continuous jobs.")

    def _continue(self, job_id: int) -> None:
        if self.starts and "continuous" in self.jobs[job_id] and not self.active(job_id):
            self.add_run(job_id, "PENDING")


RUN = ("run_id", "job_id", "run_page_url", "state")
Served = TypeVar("Served", bound=Workspace)


@contextmanager
def serving(workspace: Served) -> Iterator[Served]:
    """Serve a workspace on a free local port."""

    def answer(asked: Asked) -> tuple[int, str, dict[str, str]]:
        workspace.seen[asked.path] += 1
        given = asked.query if asked.method == "GET" else asked.body
        return respond(workspace, asked.method, asked.path, given, asked.authorization)

    with served(answer) as workspace.url:
        yield workspace


def respond(
    workspace: Workspace, method: str, path: str, given: Json, authorization: str | None
) -> tuple[int, str, dict[str, str]]:
    """Return the status, body and headers of a response."""
    endpoint = path.removeprefix("/api/2.2/")
    name = f"{method}_{endpoint}".lower().replace("/", "_").replace("-", "_")
    if endpoint == path or not hasattr(workspace, name):
        return 404, json.dumps({"error_code": "ENDPOINT_NOT_FOUND", "message": path}), {}
    if authorization != f"Bearer {TOKEN}":
        body = {"error_code": "PERMISSION_DENIED", "message": "Invalid access token."}
        return 403, json.dumps(body), {}
    fault = next((f for f in workspace.faults if f.path == endpoint and f.times), None)
    if fault:
        fault.times -= 1
        if fault.done:
            getattr(workspace, name)(given)
        return fault.status, fault.body, fault.headers
    try:
        return 200, json.dumps(getattr(workspace, name)(given)), {}
    except Refused as error:
        body = {"error_code": "INVALID_PARAMETER_VALUE", "message": str(error)}
        return 400, json.dumps(body), {}
