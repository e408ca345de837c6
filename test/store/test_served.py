"""Look-ups through a server, while generations are swapped and while the database is away."""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from threading import Event
from typing import TYPE_CHECKING

import pytest
import server_process
import sqlalchemy as sa
from pool_processes import wait_until

from tidemill.store.store import Store
from tidemill.store.table import Table

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager

    from server_process import Server

    from dev.postgres import Postgres

MODELS = """
models: [{{name: upper, version: 1, adapter: "served_models:Upper", sample: a, payload: text}}]
"""
KEYS = 100
SWAPS = 15


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The URL of a database; each test has tables of its own."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path_factory.mktemp('served')}/store.db"
    server: Postgres = request.getfixturevalue("postgres")
    return server.url


@pytest.fixture(scope="module")
def server(url: str) -> Iterator[Server]:
    """A server of all tables of a store."""
    with running(url) as one:
        yield one


def running(url: str) -> AbstractContextManager[Server]:
    """Run a server of all tables of a store."""
    return server_process.running(models=MODELS, processes=1, store=url, tables=["*"])


def table(name: str) -> Table:
    """Return a table. No generation stays, so that some are dropped while they are read."""
    return Table(name, key=("id",), columns={"id": "integer", "number": "integer"}, keep=0)


def load(store: Store, number: int, name: str = "swapped") -> None:
    """Load a generation whose rows have its number."""
    loaded = store.load(table(name), [{"id": key, "number": number} for key in range(KEYS)])
    assert loaded.generation == number


def one(server: Server) -> tuple[int, set[int]]:
    """Return the generation of an answer to a look-up of one key, and those of its rows."""
    answer = server.send("/v1/features/swapped/7").json
    return answer["generation"], {answer["values"]["number"]}


def many(server: Server) -> tuple[int, set[int]]:
    """Return the same for a look-up of all keys."""
    answer = server.send("/v1/features/swapped", {"keys": [*range(KEYS)]}).json
    assert len(answer["rows"]) == KEYS
    return answer["generation"], {row["values"]["number"] for row in answer["rows"]}


def v2(server: Server) -> tuple[int, set[int]]:
    """Return the same for V2."""
    tensor = {"name": "id", "datatype": "INT64", "shape": [KEYS], "data": [*range(KEYS)]}
    answer = server.send("/v2/models/features:swapped/infer", {"inputs": [tensor]}).json
    return int(answer["model_version"]), set(answer["outputs"][0]["data"])


class TestSwaps:
    """A look-up during a swap sees exactly one generation."""

    def test_one_generation(self, server: Server, url: str) -> None:
        """Every answer is of one generation, the one that it names, which never goes back."""
        ended = Event()
        look_ups = (one, many, many, v2)
        seen: list[list[int]] = [[] for _ in look_ups]

        def ask(client: int) -> None:
            while not ended.is_set():
                generation, numbers = look_ups[client](server)
                assert numbers == {generation}
                seen[client].append(generation)

        def all_see(number: int) -> bool:
            return all(number in each for each in seen) or any(each.done() for each in asked)

        with Store(url, timeout=60) as store, ThreadPoolExecutor(len(seen)) as clients:
            load(store, 1)
            asked = [clients.submit(ask, client) for client in range(len(seen))]
            try:
                for number in range(2, SWAPS + 1):
                    load(store, number)
                    if number % 5 == 0:
                        wait_until(partial(all_see, number), 200)
            finally:
                ended.set()
            for each in asked:
                each.result()
            assert all(each == sorted(each) for each in seen)

    def test_other_key(self, server: Server, url: str) -> None:
        """A generation with keys of another type is found with its keys, at once."""
        with Store(url) as store:
            load(store, 1, "other")
            assert server.send("/v1/features/other/7").status == 200
            changed = Table("other", key=("id",), columns={"number": "integer"})
            store.load(changed, [{"id": "ada", "number": 2}])
            assert server.send("/v1/features/other/ada").json["values"] == {"number": 2}
            store.drop("other")
            assert server.send("/v1/features/other/ada").json["title"] == "TableNotFound"


def metrics(server: Server, name: str, of: str) -> dict[str, float]:
    """Return the values of a metric of a table, by outcome."""
    text = server.send("/metrics").body.decode()
    found = re.findall(rf'^{name}{{(?:outcome="(\w*)",)?table="{of}"}} (\S+)$', text, re.MULTILINE)
    return {outcome: float(value) for outcome, value in found}


class TestMetrics:
    """What a server counts and shows of tables."""

    def test_values(self, server: Server, url: str) -> None:
        """Hits and misses are counted, and each table's live generation is shown."""
        with Store(url) as store:
            load(store, 1, "counted")
            load(store, 2, "counted")
        server.send("/v1/features/counted/-1")
        server.send("/v1/features/counted", {"keys": [1, 2, -3, -4]})
        server.send("/v1/features/nope/1")

        def of_table(name: str) -> dict[str, float]:
            return metrics(server, f"tidemill_{name}", "counted")

        assert of_table("lookup_keys_total") == {"hit": 2, "miss": 3}
        assert of_table("lookup_seconds_count") == {"": 2}
        wait_until(lambda: of_table("table_generation") == {"": 2}, 200)
        assert of_table("table_rows") == {"": KEYS}
        newest = of_table("table_newest_row_timestamp_seconds")[""]
        assert 0 < newest <= of_table("table_swapped_timestamp_seconds")[""]
        assert "nope" not in server.send("/metrics").body.decode()


class TestOutage:
    """The database may go away, and come back."""

    def test_locked(self, postgres: Postgres) -> None:
        """A look-up that waits ends with its time; models are answered, and the server stops."""
        with Store(postgres.url) as store:
            load(store, 1, "locked")
        engine = sa.create_engine(sa.make_url(postgres.url).set(drivername="postgresql+psycopg"))
        with running(postgres.url) as server:
            assert server.send("/v1/features/locked/7").status == 200
            with engine.begin() as other:
                other.execute(sa.text("LOCK TABLE locked__g1"))
                limit = {"Tidemill-Timeout": "0.3"}
                response = server.send("/v1/features/locked/7", **limit)
                assert (response.status, response.json["title"]) == (504, "DeadlineExceeded")
                assert server.ask("upper", "a").status == 200
                assert metrics(server, "tidemill_lookup_keys_total", "locked")["error"] == 1
                assert server.stop() == 0
        engine.dispose()

    def test_restart(self, postgres: Postgres) -> None:
        """Look-ups get 503 meanwhile, models are answered, and it needs no restart."""
        with Store(postgres.url) as store:
            load(store, 1, "away")
        with running(postgres.url) as server:
            assert server.send("/v1/features/away/7").status == 200
            postgres.stop()
            try:
                for path, body in (("/7", None), ("", {"keys": [1]})):
                    response = server.send(f"/v1/features/away{path}", body)
                    assert (response.status, response.json["title"]) == (503, "LookupsUnavailable")
                    assert response.headers["retry-after"] == "1"
                    assert "postgres" not in str(response.json)
                assert server.send("/v2/models/features:away/ready").status == 503
                assert server.send("/readyz").status == 200
                assert server.ask("upper", "a").status == 200
                keys = metrics(server, "tidemill_lookup_keys_total", "away")
                assert keys == {"hit": 1, "error": 2}
            finally:
                postgres.start()
            wait_until(lambda: server.send("/v1/features/away/7").status == 200, 200)
            assert metrics(server, "tidemill_lookup_keys_total", "away")["hit"] == 2
            log = [line["event"] for line in server.log]
        assert "the store answers again" in log
        assert sum(each.startswith("the store at postgresql") for each in log) == 1
