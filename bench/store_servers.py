"""Run `tidemill serve` and `feast serve`, and make the requests that ask them for rows."""

from __future__ import annotations

import json
import os
import tempfile
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, NamedTuple

from bench import http_load, serving
from bench.contenders import stored_rows
from bench.environments.environments import python_of
from dev.kafka.ports import free_ports

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from bench.store_databases import Database

OURS = "Tidemill"
PLAIN, PRECOMPUTED = "Feast", "Feast, precomputed"
SERVICES = {PLAIN: "plain", PRECOMPUTED: "precomputed"}


class Door(NamedTuple):
    """A way to ask a server: its name, the server's port and process, and what makes a request."""

    name: str
    port: int
    pid: int
    request: Callable[[list[int]], bytes]


def to_tidemill(keys: list[int]) -> bytes:
    """Return the request for the row of one key, or for those of several."""
    if len(keys) == 1:
        return f"GET /v1/features/features/{keys[0]} HTTP/1.1\r\nHost: x\r\n\r\n".encode()
    return http_load.request("/v1/features/features", json.dumps({"keys": keys}).encode())


def to_feast(service: str) -> Callable[[list[int]], bytes]:
    """Return what makes a request for the rows of keys from one of Feast's services."""

    def request(keys: list[int]) -> bytes:
        # Feast finds precomputed vectors only if the full names are asked for.
        body = {"feature_service": service, "entities": {stored_rows.KEY: keys}}
        content = json.dumps({**body, "full_feature_names": True}).encode()
        return http_load.request("/get-online-features", content)

    return request


@contextmanager
def doors(database: Database, repository: Path | None) -> Iterator[list[Door]]:
    """Run the servers of a database's rows; without a repository, only ours."""
    with ExitStack() as stack:
        named = {"STORE__URL": database.url, "SERVING__TABLES": json.dumps(["features"])}
        ours = serving.tidemill(serving.MODELS[:1], POOL__PROCESSES="1", **named)
        found = [Door(OURS, *stack.enter_context(ours), to_tidemill)]
        if repository is not None:
            theirs = stack.enter_context(feast(repository))
            found += [Door(name, *theirs, to_feast(each)) for name, each in SERVICES.items()]
        yield found


@contextmanager
def feast(repository: Path) -> Iterator[tuple[int, int]]:
    """Run Feast's server of a repository; yield its port and process id."""
    (port,) = free_ports(1)
    command = [str(python_of("feast").with_name("feast")), "serve", "--port", str(port)]
    # By default a worker ends after 1,000 requests, and the next one starts.
    command += ["--no-access-log", "--max-requests", "0"]
    path = f"{python_of('feast').parent}:{os.environ['PATH']}"
    with (
        tempfile.TemporaryFile() as log,
        serving.running(command, {"PATH": path}, log, repository) as process,
    ):
        serving.wait_for(port, process)
        yield port, process.pid
