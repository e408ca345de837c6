"""Tests of long tasks over HTTP with real servers and workers: each task ends, and only once."""

from __future__ import annotations

import json
import signal
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

import pytest
from pool_processes import wait_until
from served_tasks import WAIT_S, ended, get, problem, running, send, submit

from tidemill.store.store import Store

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from server_process import Server

    from dev.postgres import Postgres

CLIENTS = 4


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def server(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    """A server of jobs, which also runs tasks."""
    url = f"sqlite:///{tmp_path_factory.mktemp('served')}/tasks.db"
    if request.param == "postgresql":
        url = request.getfixturevalue("postgres").url
    with running(url) as one:
        yield one


def submit_many(server: Server, count: int, clients: int = CLIENTS) -> list[str]:
    """Submit tasks over a few connections that stay open; return the ids of the runs."""

    def some(client: int) -> list[str]:
        connection, runs = server.connect(), []
        for number in range(client, count, clients):
            body = json.dumps({"steps": 0, "file": "", "seconds": number})
            connection.request("POST", "/v1/tasks/Count", body)
            response = connection.getresponse()
            answer = json.loads(response.read())
            assert response.status == 202, answer
            runs.append(answer["id"])
        connection.close()
        return runs

    with ThreadPoolExecutor(clients) as threads:
        return [run for runs in threads.map(some, range(clients)) for run in runs]


def count_rows(url: str) -> dict[str, int]:
    """Return how many results the store's table has."""
    with Store(url) as store:
        return {stats.name: stats.rows or 0 for stats in store.stats(count=True)}


def test_life(server: Server, tmp_path: Path) -> None:
    """A task is submitted, watched, cancelled, run again, and its result fetched."""
    go = tmp_path / "go"
    run = submit(server, "Improve", {"file": str(go)})
    wait_until(lambda: get(server, run)["progress"] > 0, WAIT_S)
    send(server, f"/{run}/cancel", method="POST")
    assert ended(server, run)["state"] == "cancelled"
    go.touch()
    send(server, f"/{run}/retry", method="POST")
    done = ended(server, run)
    assert (done["state"], done["attempt"]) == ("succeeded", 2)
    assert send(server, f"/{run}/result").json == {"run": run, "attempt": 2}
    assert send(server, "?state=succeeded&limit=1").json["runs"] == [done]


def test_same_key_at_once(server: Server) -> None:
    """Clients that send the same key at the same time get the same run; it is the only one."""

    def send_once(number: int) -> str:
        return submit(server, "Count", {"steps": 0}, f"key-{number % 5}")

    with ThreadPoolExecutor(16) as clients:
        runs = [*clients.map(send_once, range(100))]
    assert [*Counter(runs).values()] == [20] * 5
    assert {run["id"] for run in send(server, "?limit=5").json["runs"]} == {*runs}


@pytest.mark.parametrize("count", [1000, pytest.param(10_000, marks=pytest.mark.slow)])
def test_many(url: str, count: int) -> None:
    """Many tasks are accepted while the server runs tasks and answers others, and none is lost."""
    with running(url, {"slots": 1}) as server:
        long = submit(server, "Count", {"steps": 100_000})
        wait_until(lambda: get(server, long)["phrase"], WAIT_S)
        with ThreadPoolExecutor(1) as threads:
            submitted = threads.submit(submit_many, server, count)
            asked = 0
            while not submitted.done():
                assert server.send("/readyz").status == 200
                assert get(server, long)["state"] == "running"
                asked += 1
        runs = submitted.result()
        assert asked > 1
        assert len({*runs}) == count
        (oldest,) = send(server, "?state=running").json["runs"]
        assert (oldest["id"], oldest["attempt"]) == (long, 1)  # its signs of life went on
        assert server.stop() == 0
    with Store(url) as store, store.database.reading() as connection:
        waiting = "SELECT count(*) FROM tidemill_runs WHERE state = 'waiting'"
        assert connection.exec_driver_sql(waiting).scalar() == count + 1  # the long one again


def test_two_servers(tmp_path: Path) -> None:
    """Two servers share a file; both submit and run tasks, and each task has one result."""
    url = f"sqlite:///{tmp_path}/tasks.db"
    notes, go = tmp_path / "notes", tmp_path / "go"
    settings = {"slots": 1}
    with running(url, settings) as one, running(url, settings) as other:
        servers = one, other
        long = [submit(one, "Improve", {"file": str(go)}) for _ in servers]
        wait_until(lambda: all(get(other, run)["phrase"] for run in long), WAIT_S)
        assert len({get(one, run)["worker"] for run in long}) == 2
        go.touch()

        def send_to(number: int) -> str:
            parameters = {"steps": 2, "file": str(notes)}
            return submit(servers[number % 2], "Count", parameters, f"key-{number}")

        with ThreadPoolExecutor(CLIENTS) as clients:
            runs = [*long, *clients.map(send_to, range(10))]
        done = [ended(servers[number % 2], run) for number, run in enumerate(runs)]
    assert {(run["state"], run["attempt"]) for run in done} == {("succeeded", 1)}
    assert count_rows(url) == {"task_results": 12}
    assert Counter(notes.read_text("utf-8").split()) == {"begin": 10, "end": 10}


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_restart(tmp_path: Path, how: signal.Signals) -> None:
    """A server is stopped or killed in the middle; the next one ends all tasks."""
    url = f"sqlite:///{tmp_path}/tasks.db"
    settings = {"take_over": 2}
    with running(url, settings) as server:
        runs = [submit(server, "Count", {"steps": 10, "seconds": 0.2}) for _ in range(4)]
        wait_until(lambda: any(get(server, run)["phrase"] for run in runs), WAIT_S)
        server.process.send_signal(how)
        code = server.process.wait(WAIT_S)
        if how == signal.SIGINT:
            assert code == 0
            with Store(url) as store, store.database.reading() as connection:
                states = connection.exec_driver_sql("SELECT DISTINCT state FROM tidemill_runs")
                assert "running" not in {*states.scalars()}  # they were given back
    with running(url, settings) as server:
        assert {ended(server, run)["state"] for run in runs} == {"succeeded"}
        assert [send(server, f"/{run}/result").json for run in runs] == [{"steps": 10}] * 4
    assert count_rows(url) == {"task_results": 4}


def test_outage(postgres: Postgres, postgres_url: str) -> None:
    """Without the database there is 503; with it, tasks go on, and no server is restarted."""
    with running(postgres_url) as server:
        run = submit(server, "Count", {"steps": 100, "seconds": 0.1})
        wait_until(lambda: get(server, run)["phrase"], WAIT_S)
        with ExitStack() as stack:
            with away(postgres):
                late = stack.enter_context(running(postgres_url))  # it even starts
                check_away(server, run)
                check_away(late, run)
            again = submit_when_back(late)
        assert ended(server, run)["attempt"] == 1
        assert send(server, f"/{run}/result").json == {"steps": 100}
        assert ended(server, again)["state"] == "succeeded"
        log = [line["event"] for line in server.log]
    assert log.count("the store answers again") == 1


@contextmanager
def away(postgres: Postgres) -> Iterator[None]:
    """Stop a database for the block."""
    postgres.stop()
    try:
        yield
    finally:
        postgres.start()


def check_away(server: Server, run: str) -> None:
    """Check what is answered without the database."""
    asked = (
        send(server, "/Count", {"steps": 1}, key="again"),
        send(server, f"/{run}"),
        send(server, f"/{run}/cancel", method="POST"),
        send(server),
    )
    for response in asked:
        assert problem(response) == (503, "TasksUnavailable")
        assert response.headers["retry-after"] == "1"
        assert "postgres" not in str(response.json)
    assert server.send("/readyz").status == 200


def submit_when_back(server: Server) -> str:
    """Repeat a request with a key until it is accepted; return the run."""
    wait_until(lambda: send(server, "/Count", {"steps": 1}, key="again").status == 202, WAIT_S)
    return submit(server, "Count", {"steps": 1}, "again")
