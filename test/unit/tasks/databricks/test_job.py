"""A job of Databricks runs as a task, asked for by the real SDK over HTTP."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from http_api import served
from jobs_api import TOKEN, Fault

from tidemill.errors import (
    DatabricksLoginFailed,
    DatabricksOutputTruncated,
    DatabricksRequestFailed,
    DatabricksRunFailed,
    InvalidParameters,
    TidemillError,
    trace,
)
from tidemill.tasks.databricks import DatabricksJob
from tidemill.tasks.job import Job
from tidemill.tasks.report import Report

if TYPE_CHECKING:
    from http_api import Asked
    from job_runs_api import RunsWorkspace

RUN = "0123456789abcdef0123456789abcdef"
PASSWORD = TOKEN[::-1]


class Runner:
    """Runs the job in this process, and keeps what it reports."""

    def __init__(self) -> None:
        self.told: list[dict[str, Any]] = []
        self.report = Report(RUN, 1, self.told.append, 10**6, key=f"{RUN}-1764470000000")

    def __call__(
        self,
        parameters: dict[str, Any] | None = None,
        **options: Any,  # noqa: ANN401
    ) -> dict[str, Any]:
        """Return the result of the job with the id 101."""
        job = DatabricksJob(**{"job_id": 101, "poll": 0} | options)
        return job.run(parameters or {}, self.report)

    @property
    def phrases(self) -> list[str]:
        """What was reported, without the page."""
        return [told["phrase"].partition(":")[0] for told in self.told]


@pytest.fixture
def run(login: None) -> Runner:
    """A runner whose SDK is logged in."""
    return Runner()


class TestSuccess:
    """A run that succeeds has a result."""

    def test_result(self, run: Runner, runs_workspace: RunsWorkspace) -> None:
        """Its output, its page, and the table; its states are reported on the way."""
        runs_workspace.output = {"notebook_output": {"result": '{"rows": [1, 2]}'}}
        page = f"{runs_workspace.url}/#job/101/run/102"
        assert run(table="main.shop.results") == {
            "run_id": 102,
            "page": page,
            "state": "SUCCESS",
            "table": "main.shop.results",
            "output": {"rows": [1, 2]},
        }
        assert run.phrases == ["is queued", "waits for its cluster", "runs", "has ended"]
        assert run.told[-1] == {"progress": 1, "phrase": f"has ended: {page}"}

    @pytest.mark.parametrize("code", ["SUCCESS", "SUCCESS_WITH_FAILURES"])
    def test_old(self, code: str, run: Runner, runs_workspace: RunsWorkspace) -> None:
        """Also if the workspace has only the older fields."""
        runs_workspace.is_old, runs_workspace.end = True, {"code": code}
        assert run()["state"] == code

    def test_parameters(self, run: Runner, runs_workspace: RunsWorkspace) -> None:
        """Parameters are text, or JSON; a job with a table is told the run's id."""
        run({"name": "é", "list": [1, {"a": None}], "flag": True}, table="main.shop.results")
        (asked,) = runs_workspace.asked
        assert asked == {
            "job_id": 101,
            "job_parameters": {
                "name": "é",
                "list": '[1, {"a": null}]',
                "flag": "true",
                "run": RUN,
            },
            "idempotency_token": run.report.key,
        }

    def test_one_parameter(self, run: Runner, runs_workspace: RunsWorkspace) -> None:
        """All of them may be one parameter."""
        run({"name": "a"}, json_parameter="parameters")
        assert runs_workspace.asked[0]["job_parameters"] == {"parameters": '{"name": "a"}'}

    def test_no_output(self, run: Runner, runs_workspace: RunsWorkspace) -> None:
        """A kind of task without output has succeeded all the same."""
        runs_workspace.faults.append(
            Fault("jobs/runs/get-output", 400, body='{"error_code": "INVALID_PARAMETER_VALUE"}')
        )
        assert run()["output"] is None


class TestOnce:
    """However often a task is begun, it is one run in Databricks."""

    def test_again(self, run: Runner, runs_workspace: RunsWorkspace) -> None:
        """The same key finds the same run; another key, as after a retry, starts another."""
        first = run()["run_id"]
        assert run()["run_id"] == first
        run.report.key += "0"
        assert run()["run_id"] != first
        assert len(runs_workspace.asked) == 2

    @pytest.mark.parametrize(
        ("status", "done"),
        [(429, False), (503, True), (500, False), (502, False), (0, False), (0, True)],
    )
    @pytest.mark.parametrize("path", ["jobs/run-now", "jobs/runs/get", "jobs/runs/get-output"])
    def test_flaky(
        self, path: str, status: int, done: bool, run: Runner, runs_workspace: RunsWorkspace
    ) -> None:
        """A request that fails for a moment is repeated, whether or not it was carried out."""
        runs_workspace.faults.append(Fault(path, status, times=2, done=done))
        assert run()["state"] == "SUCCESS"
        assert len(runs_workspace.asked) == 1
        assert sum("trying again in" in told["phrase"] for told in run.told) == 2


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no test wait for the back-off."""
    from tidemill.tasks.databricks import api  # noqa: PLC0415 - needs the SDK

    init = api.Patience.__init__
    monkeypatch.setattr(api.Patience, "__init__", lambda *a, **k: init(*a, **k | {"sleep": _pass}))


def _pass(_: float) -> None:
    """Do not sleep."""


class TestFailure:
    """A run that does not succeed is an error."""

    def test_exception(self, run: Runner, runs_workspace: RunsWorkspace) -> None:
        """The job's own exception is named, with what to do and the run's page."""
        runs_workspace.end = {"code": "RUN_EXECUTION_ERROR", "message": "Task main failed"}
        runs_workspace.output = {"error": "ValueError: no shelf is long enough"}
        with pytest.raises(DatabricksRunFailed) as caught:
            run()
        assert caught.value.message == (
            "the Databricks run 102 ended as RUN_EXECUTION_ERROR: "
            "ValueError: no shelf is long enough"
        )
        assert caught.value.hint == (
            "The job's code failed: look at its output. "
            f"Its page: {runs_workspace.url}/#job/101/run/102"
        )

    def test_no_output(self, run: Runner, runs_workspace: RunsWorkspace) -> None:
        """If its output cannot be read, Databricks' message is."""
        runs_workspace.end = {"code": "RUN_EXECUTION_ERROR", "message": "Task main failed"}
        runs_workspace.faults.append(Fault("jobs/runs/get-output", 403))
        with pytest.raises(DatabricksRunFailed, match="ERROR: Task main failed"):
            run()

    def test_old(self, run: Runner, runs_workspace: RunsWorkspace) -> None:
        """A run that was skipped says so, by the older fields."""
        runs_workspace.is_old = True
        runs_workspace.course = ("SKIPPED",)
        runs_workspace.end = {"code": "MAXIMUM_CONCURRENT_RUNS_REACHED", "message": "too many"}
        with pytest.raises(DatabricksRunFailed, match="RUNS_REACHED: too many"):
            run()

    def test_cut(self, run: Runner, runs_workspace: RunsWorkspace) -> None:
        """So is one whose output is cut."""
        runs_workspace.output = {"notebook_output": {"result": "[1", "truncated": True}}
        with pytest.raises(DatabricksOutputTruncated):
            run()


class TestFinal:
    """What does not pass is not tried again."""

    @pytest.mark.parametrize(
        ("path", "status"),
        [
            ("jobs/run-now", 403),
            ("jobs/run-now", 404),
            ("jobs/runs/get", 403),
            ("jobs/runs/get", 404),
        ],
    )
    def test_refused(
        self, path: str, status: int, run: Runner, runs_workspace: RunsWorkspace
    ) -> None:
        """A lack of permission, or of the job."""
        body = '{"error_code": "NO", "message": "not for you"}'
        runs_workspace.faults.append(Fault(path, status, times=99, body=body))
        with pytest.raises(DatabricksRequestFailed, match="NO: not for you"):
            run()
        assert runs_workspace.seen[f"/api/2.2/{path}"] == 1

    def test_job(self, run: Runner) -> None:
        """A job that does not exist is named."""
        with pytest.raises(DatabricksRequestFailed, match=r"job 999: .*Job 999 does not exist"):
            run(job_id=999)

    def test_down(self, run: Runner, runs_workspace: RunsWorkspace) -> None:
        """A workspace that never answers ends the start, after five minutes."""
        runs_workspace.faults.append(Fault("jobs/run-now", 503, times=999))
        with pytest.raises(DatabricksRequestFailed, match="TEMPORARILY_UNAVAILABLE"):
            run()


class TestCancel:
    """A process that is to end cancels its run if the task is cancelled."""

    @pytest.mark.parametrize("cancelled", [True, False])
    def test_while_it_runs(
        self,
        cancelled: bool,
        run: Runner,
        runs_workspace: RunsWorkspace,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        """Not if only the worker stops."""
        runs_workspace.holds = True

        def end(_: float) -> None:
            run.report.cancelled = cancelled
            raise SystemExit(143)

        monkeypatch.setattr("time.sleep", end)
        with pytest.raises(SystemExit):
            run(poll=1)
        assert runs_workspace.cancelled == ([102] if cancelled else [])

    def test_while_it_starts(
        self, run: Runner, runs_workspace: RunsWorkspace, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A run whose id is not known yet is found and cancelled, too."""
        from tidemill.tasks.databricks.workspace import Workspace  # noqa: PLC0415 - needs the SDK

        start, begun = Workspace.start, []

        def end(*arguments: Any) -> int:  # noqa: ANN401
            begun.append(start(*arguments))
            if len(begun) == 1:
                run.report.cancel()
                raise SystemExit(143)
            return begun[-1]

        monkeypatch.setattr(Workspace, "start", end)
        with pytest.raises(SystemExit):
            run()
        assert begun == [102, 102]
        assert runs_workspace.cancelled == [102]


class TestLogin:
    """The login is the SDK's own, and is shown nowhere."""

    def test_none(self, run: Runner, monkeypatch: pytest.MonkeyPatch) -> None:
        """Without any, the error says how to log in."""
        monkeypatch.delenv("DATABRICKS_HOST")
        monkeypatch.delenv("DATABRICKS_TOKEN")
        with pytest.raises(DatabricksLoginFailed) as caught:
            run()
        assert "Set DATABRICKS_HOST and DATABRICKS_TOKEN" in caught.value.hint

    def test_profile(
        self,
        run: Runner,
        runs_workspace: RunsWorkspace,
        tmp_path: Any,  # noqa: ANN401
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        """It may be a section of the SDK's file."""
        monkeypatch.delenv("DATABRICKS_HOST")
        monkeypatch.delenv("DATABRICKS_TOKEN")
        section = f"[other]\nhost = {runs_workspace.url}\ntoken = {TOKEN}\n"
        (tmp_path / ".databrickscfg").write_text(section, "utf-8")
        assert run(profile="other")["state"] == "SUCCESS"

    def test_unencrypted(self, run: Runner, monkeypatch: pytest.MonkeyPatch) -> None:
        """It is not sent unencrypted."""
        monkeypatch.setenv("DATABRICKS_HOST", "http://192.0.2.1")
        with pytest.raises(DatabricksLoginFailed, match="https://"):
            run()

    @pytest.mark.parametrize("how", ["well", "late", "refused"])
    def test_service_principal(
        self, how: str, run: Runner, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """It may be a service principal's, whose tokens come from a server that may fail."""
        answers = {
            "well": [],
            "late": [(503, "later"), (0, "")],
            "refused": [(401, '{"error": "invalid_client", "error_description": "who?"}')],
        }[how]

        def identity(asked: Asked) -> tuple[int, str, dict[str, str]]:
            if asked.method == "GET":
                ends = {"authorization_endpoint": url, "token_endpoint": f"{url}/token"}
                return 200, json.dumps(ends), {}
            if answers:
                status, body = answers.pop()
                kind = "application/json" if how == "refused" else "text/html"
                return status, body, {"Content-Type": kind}
            token = {"access_token": TOKEN, "token_type": "Bearer", "expires_in": 3600}
            return 200, json.dumps(token), {}

        with served(identity) as url:
            monkeypatch.delenv("DATABRICKS_TOKEN")
            monkeypatch.setenv("DATABRICKS_CLIENT_ID", "tidemill")
            monkeypatch.setenv("DATABRICKS_CLIENT_SECRET", PASSWORD)
            monkeypatch.setenv("DATABRICKS_DISCOVERY_URL", url)
            if how == "refused":
                with pytest.raises(DatabricksRequestFailed, match=r"invalid_client: who\?"):
                    run()
            else:
                assert run()["state"] == "SUCCESS"
        assert PASSWORD not in str(run.told)

    @pytest.mark.parametrize("body", ["<html>proxy</html>", '{"message": 7}', "", "[]"])
    def test_secret(
        self,
        body: str,
        run: Runner,
        runs_workspace: RunsWorkspace,
        capfd: pytest.CaptureFixture[str],
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        """No error, traceback, phrase or log has the token, even if the SDK shows headers."""
        monkeypatch.setenv("DATABRICKS_DEBUG_HEADERS", "true")
        runs_workspace.faults.append(Fault("jobs/run-now", 400, body=body))
        with pytest.raises(TidemillError) as caught:
            run({"password": PASSWORD})
        said = [trace(caught.value), caught.value.hint, str(run.told), *capfd.readouterr()]
        assert not [text for text in said if TOKEN in text or PASSWORD in text]
        assert len(caught.value.message) <= 160


class TestSchema:
    """The job is like any other."""

    def test_parameters(self) -> None:
        """It takes any object, and no SDK is needed to know that."""
        job = Job("fill", "tidemill.tasks.databricks:DatabricksJob", {"job_id": 101})
        assert job.schema["type"] == "object"
        assert job.parse('{"a": 1}') == {"a": 1}

    def test_subclass(self, run: Runner, runs_workspace: RunsWorkspace) -> None:
        """A subclass may say which parameters there are."""
        churn = Job("churn", "databricks_jobs:Churn", {"job_id": 101, "poll": 0})
        assert churn.schema["required"] == ["date", "regions"]
        with pytest.raises(InvalidParameters, match="regions"):
            churn.parse('{"date": "2026-11-30"}')
        parameters = churn.parse('{"date": "2026-11-30", "regions": ["eu"]}')
        churn.make().run(parameters, run.report)
        texts = {"date": "2026-11-30", "regions": '["eu"]'}
        assert runs_workspace.asked[0]["job_parameters"] == texts
