"""Tests of long tasks over HTTP: requests, errors, access, and their description."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
import server_process
from jsonschema import Draft202012Validator
from pool_processes import processes, wait_until
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT202012
from served_tasks import JOBS, ended, get, problem, running, send, submit

from tidemill.bootstrap.serve import served_routes
from tidemill.errors import NothingToServe, SettingsFileUnreadable
from tidemill.settings import ServeProgram
from tidemill.store.store import Store
from tidemill.tasks.job import Job
from tidemill.tasks.tasks import Tasks

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from server_process import Server

EVERYTHING, PART, OLD = "s3cret-for-everything", "s3cret-for-a-part", "s3cret-with-models"
TOKENS = f"""
everything: {{token: {EVERYTHING}}}
part: {{token: {PART}, jobs: ["Cou*"]}}
old: {{token: {OLD}, models: ["*"]}}
"""
MODELS = """
models: [{{name: upper, version: 1, adapter: "served_models:Upper", sample: a, payload: text}}]
"""
WAITING = 10
UNKNOWN = "0" * 32
DOCUMENT = "urn:document"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server of jobs, which also runs tasks."""
    store = f"sqlite:///{tmp_path_factory.mktemp('store')}/store.db"
    options: dict[str, Any] = {"tasks": {"max_parameters": "100KB"}, "tables": ["task_results"]}
    with running(store, **options) as one:
        yield one


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server with tokens, which runs no tasks."""
    folder = tmp_path_factory.mktemp("guarded")
    (folder / "tokens.yaml").write_text(TOKENS)
    tokens = str(folder / "tokens.yaml")
    store, tasks = f"sqlite:///{folder}/store.db", {"max_waiting": WAITING}
    with running(store, tasks, tokens=tokens, run_tasks=False) as one:
        yield one


class TestSubmit:
    """POST accepts a task."""

    def test_result(self, server: Server) -> None:
        """It is run, and its result is there, also as a row of the store."""
        response = send(server, "/Count", {"steps": 2})
        run = response.json["id"]
        assert (response.status, response.headers["location"]) == (202, f"/v1/tasks/{run}")
        assert response.headers["cache-control"] == "no-store"
        assert response.json | {"submitted": ""} == {
            "id": run,
            "job": "Count",
            "state": "waiting",
            "attempt": 0,
            "progress": 0,
            "phrase": "",
            "cancelling": False,
            "worker": None,
            "submitted": "",
            "started": None,
            "ended": None,
            "error": None,
            "hint": None,
        }
        done = ended(server, run)
        assert (done["state"], done["attempt"], done["progress"]) == ("succeeded", 1, 1)
        assert done["submitted"] <= done["started"] <= done["ended"]
        assert done["ended"].endswith("Z")
        found = send(server, f"/{run}/result")
        assert (found.status, found.json) == (200, {"steps": 2})
        row = server.send(f"/v1/features/task_results/{run}")
        assert row.json["values"] == {"job": "Count", "result": {"steps": 2}}

    @pytest.mark.parametrize("same", ['"o-17 \\"x\\""', 'o-17 "x"'])
    def test_same_key(self, server: Server, same: str) -> None:
        """The same key returns the same run, with or without the quotes of the IETF's draft."""
        first = submit(server, "Count", {"steps": 1}, 'o-17 "x"')
        assert submit(server, "Count", {"steps": 1}, same) == first
        again = send(server, "/Count", {"steps": 2}, key=same)
        assert problem(again) == (422, "KeyReused")
        assert first in again.json["detail"]

    @pytest.mark.parametrize("key", ["", "x" * 201])
    def test_bad_key(self, server: Server, key: str) -> None:
        """A key that is empty or too long is refused."""
        response = send(server, "/Count", {"steps": 1}, key=key)
        assert problem(response) == (422, "InvalidIdempotencyKey")

    @pytest.mark.parametrize("second", ["o-19", "o-18"])
    def test_two_keys(self, server: Server, second: str) -> None:
        """A request with two keys is refused, even if they are the same."""
        connection = server.connect()
        connection.putrequest("POST", "/v1/tasks/Count")
        for name, value in ("Idempotency-Key", "o-18"), ("idempotency-key", second):
            connection.putheader(name, value)
        connection.putheader("Content-Length", "12")
        connection.endheaders(b'{"steps": 1}')
        response = connection.getresponse()
        answered = json.loads(response.read())
        connection.close()
        assert (response.status, answered["title"]) == (400, "InvalidRequest")
        assert "2 headers Idempotency-Key" in answered["detail"]
        assert "one key" in answered["hint"]

    @pytest.mark.parametrize(
        ("body", "named"),
        [
            ({"steps": "2"}, "steps"),
            ({"steps": 1, "seconds": {}}, "seconds"),
            ({"steps": 1, "setps": 2}, "setps"),
            ({}, "steps"),
            ([], "object"),
            (b"", "JSON"),
            (b'{"steps": 1', "JSON"),
            (b"\xff", "codec"),
        ],
    )
    def test_parameters(self, server: Server, body: object, named: str) -> None:
        """Parameters without the job's schema are refused, and the wrong one is named."""
        response = send(server, "/Count", body)
        assert problem(response) == (422, "InvalidParameters")
        assert named in response.json["detail"]
        assert "/openapi.json" in response.json["hint"]

    @pytest.mark.parametrize("rows", [10_000, 1_000_000])
    def test_too_large(self, server: Server, rows: int) -> None:
        """A parameter with too many rows is refused with what to do instead."""
        rest = ", ".join(["[1, 2.5]"] * rows)
        response = send(server, "/Odd", f'{{"rows": [{rest}]}}'.encode())
        assert problem(response) == (413, "ParametersTooLarge")
        assert response.json["detail"] == "the parameters have more than 100,000 bytes"
        assert "file or a table" in response.json["hint"]

    def test_limit(self, server: Server) -> None:
        """Parameters of exactly the allowed size are accepted."""
        frame = len('{"phrase": ""}')
        run = submit(server, "Odd", b'{"phrase": "%s"}' % (b"x" * (100_000 - frame)))
        assert ended(server, run)["state"] == "succeeded"
        assert len(send(server, f"/{run}/result").json) == 100_000 - frame

    @pytest.mark.parametrize(
        ("headers", "status"),
        [
            ({"Sec_Fetch_Site": "cross-site"}, 403),
            ({"Sec_Fetch_Site": "same-site"}, 403),
            ({"Origin": "https://elsewhere.example"}, 403),
            ({"Origin": "null"}, 403),
            ({"Origin": "http://["}, 403),
            ({"Sec_Fetch_Site": "same-origin", "Origin": "https://proxy.example"}, 202),
            ({"Origin": "own"}, 202),
        ],
    )
    def test_other_site(self, server: Server, headers: dict[str, str], status: int) -> None:
        """A page of another site cannot start or cancel tasks in a visitor's name."""
        own = {"own": f"http://127.0.0.1:{server.port}"}
        sent = {name: own.get(value, value) for name, value in headers.items()}
        response = server.send("/v1/tasks/Count", {"steps": 0}, **sent)
        assert response.status == status
        if status == 403:
            assert problem(response) == (403, "OtherSite")
            cancelled = server.send(f"/v1/tasks/{UNKNOWN}/cancel", method="POST", **sent)
            assert problem(cancelled) == (403, "OtherSite")

    def test_too_many(self, guarded: Server) -> None:
        """A client can let only so many tasks wait; the key of one of them still returns it."""
        sent = [
            send(guarded, "/Improve", {}, token=EVERYTHING, key=f"n-{number % (WAITING + 1)}")
            for number in range(WAITING + 2)
        ]
        assert [each.status for each in sent] == [202] * WAITING + [429, 202]
        assert problem(sent[-2]) == (429, "TooManyTasks")
        assert int(sent[-2].headers["retry-after"]) > 0
        assert "`tasks.max_waiting`" in sent[-2].json["hint"]
        assert sent[-1].json["id"] == sent[0].json["id"]

    def test_rebinding(self, server: Server, guarded: Server) -> None:
        """Nor can a page whose own name leads to this machine, as it has no token."""
        page = {"Origin": "http://evil.example:1", "Host": "evil.example:1"}
        for path in ("/v1/tasks/Count", f"/v1/tasks/{UNKNOWN}/cancel"):
            refused = server.send(path, {"steps": 0}, **page)
            assert problem(refused) == (403, "UntrustedHost")
            assert "`serving.tokens`" in refused.json["hint"]
            assert problem(guarded.send(path, {"steps": 0}, **page)) == (401, "Unauthenticated")
        token = {"Authorization": f"Bearer {EVERYTHING}"}
        assert guarded.send("/v1/tasks/Odd", {}, **page, **token).status == 202

    def test_media_type(self, server: Server) -> None:
        """Another media type is refused."""
        response = server.send("/v1/tasks/Count", {"steps": 1}, Content_Type="text/csv")
        assert problem(response) == (415, "UnsupportedMediaType")


class TestRuns:
    """A run is watched, cancelled and retried."""

    def test_cancel(self, server: Server) -> None:
        """A running task is ended, and has no result until it is run again."""
        run = submit(server, "Count", {"steps": 100_000})
        wait_until(lambda: get(server, run)["phrase"])
        assert get(server, run)["worker"]
        assert problem(send(server, f"/{run}/result")) == (409, "NotEnded")
        response = send(server, f"/{run}/cancel", method="POST")
        assert (response.status, response.json["cancelling"]) == (200, True)
        assert ended(server, run)["state"] == "cancelled"
        assert problem(send(server, f"/{run}/result")) == (404, "NoResult")
        again = send(server, f"/{run}/retry", method="POST")
        assert (again.status, again.json["state"], again.json["ended"]) == (200, "waiting", None)
        send(server, f"/{run}/cancel", method="POST")
        assert ended(server, run)["state"] == "cancelled"

    def test_latest(self, server: Server, tmp_path: Path) -> None:
        """What the job has reported so far is there, until its result is."""
        file = tmp_path / "go on"
        run = submit(server, "Improve", {"file": str(file)})
        wait_until(lambda: send(server, f"/{run}/latest").status == 200)
        wait_until(lambda: send(server, f"/{run}/latest").json["result"] == {"best": 2})
        assert send(server, f"/{run}/latest").json["final"] is False
        file.touch()
        assert ended(server, run)["state"] == "succeeded"
        answer = send(server, f"/{run}/latest")
        assert answer.json == {"final": True, "result": {"run": run, "attempt": 1}}
        assert answer.headers["cache-control"] == "no-store"

    def test_failed(self, server: Server) -> None:
        """A run that failed says why, and what to do."""
        run = submit(server, "Fail", {})
        done = ended(server, run)
        assert (done["state"], done["error"]) == ("failed", "ValueError: no shelf is long enough")
        response = send(server, f"/{run}/result")
        assert problem(response) == (404, "NoResult")
        assert "no shelf is long enough" in response.json["detail"]
        assert response.json["hint"].startswith("The worker's log has the traceback.")
        assert f"/v1/tasks/{run}/retry" in response.json["hint"]

    def test_no_retry(self, server: Server) -> None:
        """What succeeded is not run again."""
        run = submit(server, "Count", {"steps": 0}, "once")
        ended(server, run)
        assert problem(send(server, f"/{run}/retry", method="POST")) == (409, "CannotRetry")

    @pytest.mark.parametrize("run", [UNKNOWN, "Conut", "a%2Fb", "%00", "x" * 1000])
    def test_unknown(self, server: Server, run: str) -> None:
        """There is no such run."""
        for path in ("", "/result", "/latest"):
            response = send(server, f"/{run}{path}")
            assert problem(response) == (404, "UnknownRun")
            assert "GET /v1/tasks" in response.json["hint"]
        for path in ("/cancel", "/retry"):
            assert problem(send(server, f"/{run}{path}", method="POST")) == (404, "UnknownRun")

    def test_unknown_job(self, server: Server) -> None:
        """There is no such job, and the hint lists those that there are."""
        response = send(server, "/Cuont", {})
        assert problem(response) == (404, "UnknownJob")
        assert "Count" in response.json["hint"]

    @pytest.mark.parametrize(
        ("path", "method", "status", "title"),
        [
            ("", "POST", 405, "MethodNotAllowed"),
            ("/Count", "GET", 405, "MethodNotAllowed"),
            ("/Count", "PUT", 405, "MethodNotAllowed"),
            (f"/{UNKNOWN}", "DELETE", 405, "MethodNotAllowed"),
            (f"/{UNKNOWN}/cancel", "GET", 405, "MethodNotAllowed"),
            (f"/{UNKNOWN}/result", "POST", 405, "MethodNotAllowed"),
            (f"/{UNKNOWN}/nope", "GET", 404, "ModelNotFound"),
            (f"/{UNKNOWN}/result/", "GET", 404, "ModelNotFound"),
            ("s", "GET", 404, "ModelNotFound"),
        ],
    )
    def test_paths(self, server: Server, path: str, method: str, status: int, title: str) -> None:
        """There are no other paths and methods."""
        assert problem(send(server, path, method=method)) == (status, title)


class TestList:
    """GET lists the latest runs."""

    def test_filters(self, server: Server) -> None:
        """The newest comes first; job, state and limit select."""
        first = submit(server, "Count", {"steps": 0})
        second = submit(server, "Fail", {})
        ended(server, first), ended(server, second)
        listed = send(server, "?limit=2")
        assert [run["id"] for run in listed.json["runs"]] == [second, first]
        assert listed.json["runs"][0] == get(server, second)
        assert listed.headers["cache-control"] == "no-store"
        (one,) = send(server, "?job=Count&limit=1").json["runs"]
        assert one["id"] == first
        (one,) = send(server, "?state=failed&limit=1").json["runs"]
        assert one["id"] == second

    @pytest.mark.parametrize(
        ("query", "title"),
        [
            ("state=done", "InvalidSelection"),
            ("limit=0", "InvalidRequest"),
            ("limit=1001", "InvalidRequest"),
            ("limit=99999999999999999999", "InvalidRequest"),
            (f"limit=000000001{'0' * 5000}", "InvalidRequest"),
            ("limit=a", "InvalidRequest"),
            ("limit=", "InvalidRequest"),
            ("jobs=Count", "InvalidRequest"),
        ],
    )
    def test_wrong(self, server: Server, query: str, title: str) -> None:
        """Other parameters are refused."""
        assert problem(send(server, f"?{query}")) == (400, title)

    def test_wrong_job(self, server: Server) -> None:
        """A job that there is not has no runs to list."""
        assert problem(send(server, "?job=nope")) == (404, "UnknownJob")


class TestAccess:
    """A client uses only the jobs that its token allows."""

    def test_jobs(self, guarded: Server) -> None:
        """Runs of other jobs do not exist for it."""
        own = send(guarded, "/Count", {"steps": 1}, token=PART).json["id"]
        other = send(guarded, "/Fail", {}, token=EVERYTHING).json["id"]
        runs = send(guarded, token=PART).json["runs"]
        assert [run["id"] for run in runs] == [own]
        everything = send(guarded, token=EVERYTHING).json["runs"]
        assert {run["id"] for run in everything} >= {own, other}
        hidden = send(guarded, "/Fail", {}, token=PART)
        assert problem(hidden) == (404, "UnknownJob")
        assert hidden.json["hint"] == "Jobs: Count."
        assert problem(send(guarded, "?job=Fail", token=PART)) == (404, "UnknownJob")
        gets, posts = ("", "/result", "/latest"), ("/cancel", "/retry")
        for method, path in [("GET", p) for p in gets] + [("POST", p) for p in posts]:
            seen = send(guarded, f"/{other}{path}", method=method, token=PART)
            unknown = send(guarded, f"/{UNKNOWN}{path}", method=method, token=PART)
            assert problem(seen) == problem(unknown) == (404, "UnknownRun")
            assert str(seen.json).replace(other, UNKNOWN) == str(unknown.json)
        assert send(guarded, f"/{other}", token=EVERYTHING).json["state"] == "waiting"
        assert send(guarded, f"/{own}/cancel", method="POST", token=PART).status == 200

    def test_described(self, guarded: Server) -> None:
        """The OpenAPI document has only its jobs."""
        headers = {"Authorization": f"Bearer {PART}"}
        paths = guarded.send("/openapi.json", **headers).json["paths"]
        assert "/v1/tasks/Count" in paths
        assert "/v1/tasks/Fail" not in paths
        headers = {"Authorization": f"Bearer {OLD}"}
        assert guarded.send("/openapi.json", **headers).json["paths"] == {}

    def test_other_tokens(self, guarded: Server) -> None:
        """A token that lists only models allows no job; without one there is nothing."""
        assert problem(send(guarded, "/Count", {"steps": 1}, token=OLD)) == (404, "UnknownJob")
        assert send(guarded, token=OLD).json == {"runs": []}
        assert problem(send(guarded)) == (401, "Unauthenticated")
        assert problem(send(guarded, "/Count", {"steps": 1})) == (401, "Unauthenticated")


class TestOpenApi:
    """The OpenAPI document describes jobs and runs."""

    def test_paths(self, server: Server) -> None:
        """Each job has a path, and each schema is one whose references lead somewhere."""
        document = server.send("/openapi.json").json
        posts = {f"/v1/tasks/{job}" for job in JOBS}
        parts = "", "/result", "/latest", "/cancel", "/retry"
        of_run = {f"/v1/tasks/{{run}}{part}" for part in parts}
        found = {path for path in document["paths"] if path.startswith("/v1/tasks")}
        assert found == posts | of_run | {"/v1/tasks"}
        schemas = [
            content["schema"]
            for path in found
            for operation in document["paths"][path].values()
            for place in (operation.get("requestBody", {}), *operation["responses"].values())
            for content in place.get("content", {}).values()
        ]
        assert len(schemas) > len(JOBS)
        for schema in (*schemas, *document["components"]["schemas"].values()):
            Draft202012Validator.check_schema(schema)

    def test_parameters(self, server: Server) -> None:
        """The schema in the document accepts and refuses what the server does, nested or not."""
        document = server.send("/openapi.json").json
        cases: list[tuple[str, object, bool]] = [
            ("Count", {"steps": 0}, True),
            ("Count", {"steps": "0"}, False),
            ("Count", {"steps": 0, "setps": 1}, False),
            ("Shelf", {"products": [{"name": "a", "parts": [{"name": "b", "parts": []}]}]}, True),
            ("Shelf", {"products": [{"name": "a", "parts": [{"name": 1, "parts": []}]}]}, False),
        ]
        for job, parameters, is_valid in cases:
            schema = f"/paths/~1v1~1tasks~1{job}/post/requestBody/content/application~1json/schema"
            assert validator(document, schema).is_valid(parameters) is is_valid, (job, parameters)
            status = send(server, f"/{job}", parameters).status
            assert status == (202 if is_valid else 422)

    def test_answers(self, server: Server) -> None:
        """A run has the fields of its schema, before and after its end."""
        document = server.send("/openapi.json").json
        schema = "/components/schemas/Run"
        names = document["components"]["schemas"]["Run"]["properties"].keys()
        run = submit(server, "Fail", {})
        for answer in (get(server, run), ended(server, run)):
            validator(document, schema).validate(answer)
            assert answer.keys() == names


def validator(document: dict[str, Any], pointer: str) -> Draft202012Validator:
    """Return a validator of a schema within a document, to which its references belong."""
    resource: Resource[Any] = Resource.from_contents(document, DRAFT202012)
    registry: Registry[Any] = Registry().with_resource(DOCUMENT, resource)
    return Draft202012Validator({"$ref": f"{DOCUMENT}#{pointer}"}, registry=registry)


class TestMetrics:
    """The server shows its tasks to Prometheus."""

    def test_ended(self, server: Server) -> None:
        """A run that ends is counted, and the time it took."""

        def read(name: str) -> float:
            page = server.send("/metrics").body.decode()
            line = f'tidemill_tasks_{name}{{job_name="Count",outcome="succeeded"}} '
            found = [each for each in page.splitlines() if each.startswith(line)]
            return float(found[0].removeprefix(line)) if found else 0  # none before the first read

        before = read("ended_total"), read("seconds_total")
        ended(server, submit(server, "Count", {"steps": 1}))
        wait_until(lambda: read("ended_total") > before[0])
        assert read("seconds_total") > before[1]


class TestStart:
    """A server serves what the settings name."""

    def test_no_models(self, server: Server) -> None:
        """Without a models file it answers, and starts no model process."""
        assert server.send("/readyz").status == 200
        results = {"models": ["features:task_results"]}
        wait_until(lambda: server.send("/v2/models").json == results)
        assert problem(server.ask("upper", "a")) == (404, "ModelNotFound")
        assert not processes(server.folder)

    def test_no_jobs(self, tmp_path: Path) -> None:
        """Without jobs there are no such paths, and no worker."""
        url = f"sqlite:///{tmp_path}/new/store.db"
        with server_process.running(models=MODELS, processes=1, store=url) as one:
            assert problem(send(one)) == (404, "ModelNotFound")
            assert problem(send(one, "/Count", {"steps": 1})) == (404, "ModelNotFound")
            assert not any(line["event"] == "worker started" for line in one.log)
        assert not (tmp_path / "new").exists()

    @pytest.mark.parametrize(
        ("options", "event"),
        [
            ({"tasks": {"jobs": {"x": {"job": "nowhere:X"}}}}, "the job 'x' is invalid"),
            ({"tasks": {"slots": 3}}, "there is nothing to serve"),
        ],
    )
    def test_refused(self, options: dict[str, Any], event: str) -> None:
        """A job that cannot be used, or nothing to serve, is a wrong configuration."""
        with server_process.launched(models=None, processes=1, **options) as one:
            assert one.process.wait(server_process.TIMEOUT) == 2
            assert event in one.log[-1]["event"]
            assert one.log[-1]["hint"]


class TestServed:
    """What a server needs to have anything to serve: models, tables or jobs."""

    @pytest.mark.parametrize("named", [True, False])
    @pytest.mark.parametrize("text", ["models: []", None])
    @pytest.mark.parametrize(
        "others",
        [{}, {"serving": {"tables": ["prices"]}}, {"tasks": {"jobs": {"x": {"job": "a:B"}}}}],
    )
    def test_no_models(
        self,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
        others: dict[str, Any],
        text: str | None,
        named: bool,
    ) -> None:
        """Tables or jobs are enough; only a models file that the settings name must exist."""
        monkeypatch.chdir(tmp_path)
        if text is not None:
            (tmp_path / "models.yaml").write_text(text)
        options: dict[str, Any] = others | ({"models": "models.yaml"} if named else {})
        settings = ServeProgram(**options)
        if text is None and named:
            with pytest.raises(SettingsFileUnreadable, match=r"models\.yaml"):
                served_routes(settings)
        elif others:
            assert served_routes(settings) == ()
        else:
            with pytest.raises(NothingToServe, match=r"no models in .*models\.yaml") as caught:
                served_routes(settings)
            assert all(word in caught.value.hint for word in ("`serving.tables`", "`tasks.jobs`"))


class TestOtherJobs:
    """Servers with different jobs may share a database."""

    def test_not_ours(self, tmp_path: Path) -> None:
        """A run of a job that this server's settings do not list does not exist here."""
        url = f"sqlite:///{tmp_path}/store.db"
        with Store(url) as store:
            run = Tasks(store, [Job("Other", "long_jobs:Count")]).submit("Other", {"steps": 1})
        with running(url) as one:
            assert problem(send(one, f"/{run}")) == (404, "UnknownRun")
            assert send(one).json == {"runs": []}
