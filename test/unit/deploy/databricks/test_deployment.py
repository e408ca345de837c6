from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import requests
from databricks.sdk.core import DatabricksError
from databricks.sdk.service.jobs import JobSettings
from jobs_api import TOKEN, VARIABLES, Fault, Workspace

from deploy.databricks.deployment import Deployment, typed
from deploy.databricks.errors import (
    NotStarted,
    RequestFailed,
    RunsNotEnded,
    SeveralJobs,
    UnknownToTheApi,
    VariableWrong,
)
from deploy.databricks.payload import fill_in
from deploy.databricks.workspace import Patience, jobs_of
from dev.kafka.ports import free_ports

if TYPE_CHECKING:
    from databricks.sdk.service.jobs import Run

NAME = VARIABLES["CLUSTER_NAME"]
WHERE = ["jobs/list", "jobs/create", "jobs/run-now", "jobs/runs/get"]
AGAIN = ["jobs/list", "jobs/reset", "jobs/runs/list", "jobs/runs/cancel", "jobs/run-now"]


class Deployer:
    """A deployer that does not sleep, and records its messages and waits."""

    def __init__(self, workspace: Workspace) -> None:
        self.workspace = workspace
        self.told: list[str] = []
        self.waits: list[float] = []

    def __call__(
        self, *, continuous: bool = False, timeout: float = 100, limit: float = 300
    ) -> Run:
        """Deploy once."""
        patience = Patience(self.told.append, limit=limit, sleep=self.waits.append)
        jobs = jobs_of(self.workspace.url, TOKEN)
        job = Deployment(jobs, patience, timeout=timeout, clock=lambda: sum(self.waits))
        return job.bring(typed(fill_in(VARIABLES, continuous=continuous)))

    def jobs(self) -> list[int]:
        """Return the ids of the jobs with its name."""
        return [i for i, settings in self.workspace.jobs.items() if settings["name"] == NAME]


@pytest.fixture
def deploy(workspace: Workspace) -> Deployer:
    """A deployer for the workspace."""
    return Deployer(workspace)


class TestOnce:
    """A deployment leaves one job of the name, with one run."""

    def test_new(self, deploy: Deployer, workspace: Workspace) -> None:
        """A new job is created and run; other jobs are unchanged."""
        others = dict(workspace.jobs)
        run = deploy()
        (job_id,) = deploy.jobs()
        assert workspace.jobs[job_id] == fill_in(VARIABLES)
        assert [r["run_id"] for r in workspace.active()] == [run.run_id]
        assert run.run_page_url == f"{workspace.url}/#job/{job_id}/run/{run.run_id}"
        assert others.items() <= workspace.jobs.items()

    def test_twice(self, deploy: Deployer, workspace: Workspace) -> None:
        """A second deployment resets the settings, and ends the run before it starts the next."""
        first, second = deploy(), deploy()
        assert len(deploy.jobs()) == 1
        assert [run["run_id"] for run in workspace.active()] == [second.run_id]
        state = workspace.runs[first.run_id or 0]["state"]
        assert state["life_cycle_state"] == "TERMINATED"

    def test_found_on_a_later_page(self, deploy: Deployer, workspace: Workspace) -> None:
        """The job is found on the last page, after names that differ only in case."""
        for name in ("Stage_NER", "stage_Ner", "STAGE_ner", NAME):
            workspace.add_job(name, tasks=[])
        (job_id,) = deploy.jobs()
        deploy()
        assert deploy.jobs() == [job_id]
        assert workspace.jobs[job_id] == fill_in(VARIABLES)

    def test_many_runs(self, deploy: Deployer, workspace: Workspace) -> None:
        """The runs of this job are cancelled on all pages, and no others."""
        job_id = workspace.add_job(NAME, tasks=[])
        runs = [workspace.add_run(job_id) for _ in range(5)]
        other = workspace.add_run(next(iter(workspace.jobs)))
        run = deploy()
        states = {i: r["state"]["life_cycle_state"] for i, r in workspace.runs.items()}
        assert {states[i] for i in runs} == {"TERMINATED"}
        assert states[other] == "RUNNING"
        assert states[run.run_id or 0] == "PENDING"

    def test_waits(self, deploy: Deployer, workspace: Workspace) -> None:
        """No run starts before the cancelled run has ended."""
        workspace.add_run(workspace.add_job(NAME, tasks=[]))
        workspace.looks_to_end = 7
        deploy()
        assert workspace.seen["/api/2.2/jobs/runs/list"] >= 7
        assert workspace.seen["/api/2.2/jobs/run-now"] == 1
        assert sum(deploy.waits) >= 6


class TestContinuous:
    """Databricks starts the runs of a continuous job."""

    @pytest.mark.parametrize("before", [None, False, True])
    def test_one_run(self, before: bool | None, deploy: Deployer, workspace: Workspace) -> None:
        """The run that Databricks started is returned, and no other is requested."""
        if before is not None:
            deploy(continuous=before)
        workspace.seen.clear()
        run = deploy(continuous=True)
        assert [r["run_id"] for r in workspace.active()] == [run.run_id]
        assert workspace.runs[run.run_id or 0]["settings"] == fill_in(VARIABLES, continuous=True)
        assert not workspace.seen["/api/2.2/jobs/run-now"]

    def test_no_more(self, deploy: Deployer, workspace: Workspace) -> None:
        """A job that is no longer continuous has one run, which was requested."""
        deploy(continuous=True)
        run = deploy()
        assert [r["run_id"] for r in workspace.active()] == [run.run_id]

    def test_none_comes(self, deploy: Deployer, workspace: Workspace) -> None:
        """If Databricks starts no run, that is an error."""
        workspace.starts = False
        with pytest.raises(NotStarted, match="started none"):
            deploy(continuous=True)


class TestBusyApi:
    """If the API is busy or fails, requests are repeated without duplicating anything."""

    @pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
    @pytest.mark.parametrize("path", WHERE)
    def test_new(self, path: str, status: int, deploy: Deployer, workspace: Workspace) -> None:
        """This works at a first deployment."""
        workspace.faults.append(Fault(path, status, times=3))
        run = deploy()
        assert len(deploy.jobs()) == 1
        assert [r["run_id"] for r in workspace.active()] == [run.run_id]
        assert len(deploy.told) >= 3

    @pytest.mark.parametrize("status", [429, 503])
    @pytest.mark.parametrize("path", AGAIN)
    def test_again(self, path: str, status: int, deploy: Deployer, workspace: Workspace) -> None:
        """This works at a later deployment."""
        deploy()
        workspace.faults.append(Fault(path, status, times=3))
        run = deploy()
        assert len(deploy.jobs()) == 1
        assert [r["run_id"] for r in workspace.active()] == [run.run_id]
        assert workspace.faults[0].times == 0

    @pytest.mark.parametrize("path", ["jobs/create", "jobs/run-now"])
    def test_done_all_the_same(self, path: str, deploy: Deployer, workspace: Workspace) -> None:
        """A change that succeeded despite an error response is not repeated."""
        workspace.faults.append(Fault(path, 503, done=True))
        run = deploy()
        assert len(deploy.jobs()) == 1
        assert list(workspace.runs) == [run.run_id]

    def test_longer_each_time(self, deploy: Deployer, workspace: Workspace) -> None:
        """Each pause may be twice the previous one, up to half a minute."""
        workspace.faults.append(Fault("jobs/list", 500, times=8))
        deploy()
        assert len(deploy.waits) == 8
        for number, wait in enumerate(deploy.waits):
            most = min(2.0**number, 30.0)
            assert most / 2 <= wait <= most

    def test_its_own_wish(self, deploy: Deployer, workspace: Workspace) -> None:
        """A pause is as long as the API requests."""
        workspace.faults.append(Fault("jobs/list", 429, headers={"Retry-After": "17"}))
        deploy()
        assert deploy.waits == [17.0]

    def test_for_ever(self, deploy: Deployer, workspace: Workspace) -> None:
        """When the time is up, the error has the API's message."""
        body = '{"error_code": "INTERNAL_ERROR", "message": "the\\n  moon"}'
        workspace.faults.append(Fault("jobs/create", 500, times=999, body=body))
        with pytest.raises(RequestFailed, match=r"INTERNAL_ERROR: the moon$"):
            deploy(limit=60)
        assert sum(deploy.waits) == pytest.approx(60, abs=0.2)


class TestRefusals:
    """A refused request is not repeated, and the error has the API's message."""

    @pytest.mark.parametrize("status", [400, 401, 403, 404, 409, 501])
    def test_message(self, status: int, deploy: Deployer, workspace: Workspace) -> None:
        """The message is one line."""
        body = '{"error_code": "NO_LUCK", "message": "first\\nsecond"}'
        workspace.faults.append(Fault("jobs/create", status, body=body))
        with pytest.raises(RequestFailed, match=r"^cannot set up the job: NO_LUCK: first second$"):
            deploy()
        assert deploy.waits == []
        assert workspace.seen["/api/2.2/jobs/run-now"] == 0

    @pytest.mark.parametrize("body", ["", "<html>\n<title>gone</title>", "\x00\x01", "[]"])
    def test_no_json(self, body: str, deploy: Deployer, workspace: Workspace) -> None:
        """A response that is not from the API also gives one readable line."""
        workspace.faults.append(Fault("jobs/list", 404, body=body))
        with pytest.raises(RequestFailed) as caught:
            deploy()
        said = str(caught.value)
        assert said.isprintable()
        assert len(said) < 600
        assert "bug" not in said

    def test_several_jobs(self, deploy: Deployer, workspace: Workspace) -> None:
        """Two jobs of the name are an error."""
        ids = [workspace.add_job(NAME, tasks=[]) for _ in range(2)]
        with pytest.raises(SeveralJobs, match=", ".join(map(str, ids))):
            deploy()
        assert workspace.seen["/api/2.2/jobs/reset"] == 0

    def test_no_end(self, deploy: Deployer, workspace: Workspace) -> None:
        """A run that does not end is an error, and no other starts."""
        run_id = workspace.add_run(workspace.add_job(NAME, tasks=[]))
        workspace.looks_to_end = 9999
        with pytest.raises(RunsNotEnded, match=f"{run_id} did not end within 100 s"):
            deploy()
        assert workspace.seen["/api/2.2/jobs/run-now"] == 0

    def test_skipped(self, deploy: Deployer, workspace: Workspace) -> None:
        """A run that the API skips because another one started is an error."""
        workspace.begins_between = True
        workspace.add_job(NAME, tasks=[])
        with pytest.raises(NotStarted, match="as requested"):
            deploy()

    def test_unknown_field(self) -> None:
        """A field or value of the template that the API does not know is an error that names it."""
        settings = fill_in(VARIABLES)
        settings["tasks"][0]["new_cluster"]["spark_cnf"] = {}
        settings["tasks"][0]["new_cluster"]["data_security_mode"] = "NOBODY"
        with pytest.raises(UnknownToTheApi) as caught:
            typed(settings)
        assert "tasks[0].new_cluster.spark_cnf" in str(caught.value)
        assert "tasks[0].new_cluster.data_security_mode" in str(caught.value)

    def test_known(self) -> None:
        """A valid template is unchanged."""
        assert typed(fill_in(VARIABLES)) == JobSettings.from_dict(fill_in(VARIABLES))


class TestWay:
    """The token is sent only to a safe host."""

    @pytest.mark.parametrize(
        "host", ["http://x.cloud.databricks.com", "https://", "ftp://127.0.0.1", "https://u:p@x"]
    )
    def test_host(self, host: str) -> None:
        """The host must use TLS, except on this machine."""
        with pytest.raises(VariableWrong, match="DATABRICKS_HOST"):
            jobs_of(host, TOKEN)

    @pytest.mark.parametrize("token", ["dapi\ncanary", "dapi canary", "dapi\u2014canary"])
    def test_token(self, token: str) -> None:
        """A token that cannot be a header is refused, and not repeated."""
        with pytest.raises(VariableWrong) as caught:
            jobs_of("https://x", token)
        assert "canary" not in str(caught.value)

    def test_nobody_there(self) -> None:
        """A host that does not answer is retried for a while."""
        waits: list[float] = []
        jobs = jobs_of(f"http://127.0.0.1:{free_ports(1)[0]}", TOKEN)
        patience = Patience(lambda _: None, limit=20, sleep=waits.append)
        with pytest.raises(
            RequestFailed, match=r": ConnectionError: \[Errno 111\] Connection refused$"
        ):
            patience.ask("cannot look", lambda: list(jobs.list()))
        assert sum(waits) == pytest.approx(20, abs=0.2)

    def test_certificate(self) -> None:
        """An untrusted certificate is not retried."""

        def ask() -> None:
            raise requests.exceptions.SSLError("self-signed")

        patience = Patience(lambda _: None, sleep=lambda _: pytest.fail("it retries"))
        with pytest.raises(RequestFailed, match="self-signed"):
            patience.ask("cannot look", ask)

    def test_alone(self, workspace: Workspace) -> None:
        """The SDK does not repeat requests by itself."""
        jobs, seen = jobs_of(workspace.url, TOKEN), workspace.seen
        workspace.faults.append(Fault("jobs/list", 503, headers={"Retry-After": "0"}))
        with pytest.raises(DatabricksError, match="later"):
            list(jobs.list())
        assert seen["/api/2.2/jobs/list"] == 1
