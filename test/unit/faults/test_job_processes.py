from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

from dev import PYTHONPATH
from dev.pipeline.job_process import descendants
from faults import gauges
from faults.job_processes import find, kill_orphans, parent

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

PROCESSES = 2
# The owner waits; the worker starts a pool of two processes and ends, as the first of a job may.
OWNER = "import sys; sys.stdin.read()"
START_POOL = """
import sys
import msgspec
from tidemill.inference.model import ModelSpec
from tidemill.models.pool.start import PoolAddress
from faults.campaign_job import MODEL
PoolAddress([msgspec.convert(MODEL, ModelSpec)], int(sys.argv[2]), int(sys.argv[1])).start()
"""
# Like Spark's daemon: fork two workers, print the daemon's process id, and wait.
DAEMON = """
import os, sys
if os.fork() and os.fork():
    print(os.getpid(), flush=True)
sys.stdin.read()
"""
TIMEOUT_S = 120.0


def python(code: str, *arguments: str) -> subprocess.Popen[bytes]:
    """Start Python with the arguments in its command line."""
    return subprocess.Popen(
        [sys.executable, "-c", code, *arguments],
        env={**os.environ, "PYTHONPATH": PYTHONPATH},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )


def wait_until(condition: Callable[[], object]) -> None:
    """Wait until a condition holds."""
    deadline = time.monotonic() + TIMEOUT_S
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.fixture
def owner() -> Iterator[int]:
    """The owner of a pool whose starter has ended."""
    with python(OWNER) as process:
        with python(START_POOL, str(process.pid), str(PROCESSES)) as starter:
            assert starter.wait(TIMEOUT_S) == 0
        yield process.pid
        process.kill()


class TestPool:
    """A pool belongs to the job that owns it, whatever became of the worker that started it."""

    def test_server_and_members(self, owner: int) -> None:
        """The server and its members are told apart; a kill hits one of them."""
        (server,) = find(owner, "server")
        wait_until(lambda: len(descendants(owner)) == PROCESSES + 1)
        assert parent(server) != owner
        members = descendants(owner).keys() - {server}
        assert {parent(member) for member in members} == {server}
        (oldest,) = find(owner, "member")
        assert oldest == min(members)
        assert find(owner, "member", max(members)) == [max(members)]
        assert find(owner, "server", max(members)) == [server]
        assert set(find(owner, "group")) == {owner, server, *members}

    def test_replaced(self, owner: int) -> None:
        """A member that is killed is replaced; the pool's size is a gauge of its job."""
        wait_until(lambda: len(descendants(owner)) == PROCESSES + 1)
        (member,) = find(owner, "member")
        os.kill(member, signal.SIGKILL)
        wait_until(
            lambda: member not in descendants(owner) and len(descendants(owner)) == PROCESSES + 1
        )
        server = find(owner, "server")
        assert member not in find(owner, "member")
        kill_orphans(server, 0)
        wait_until(lambda: not descendants(owner))

    def test_gauges(self, owner: int, tmp_path: Path) -> None:
        """The memory and threads of the pool count as the workers'."""
        wait_until(lambda: len(descendants(owner)) == PROCESSES + 1)
        measured = gauges.measure(owner, tmp_path)
        assert measured["pool processes"] == PROCESSES + 1
        assert measured["workers threads"] == PROCESSES + 1
        assert measured["workers MiB"] > 5

        def is_sum() -> bool:
            """Compare the sums, unless a process that has just started still takes more."""
            taken = gauges.measure(owner, tmp_path)["workers MiB"]
            return taken == pytest.approx(sum(map(gauges.pss, descendants(owner))), rel=0.2)

        wait_until(is_sum)

    def test_ends_with_its_owner(self, owner: int) -> None:
        """A killed owner leaves no process behind."""
        pool = list(descendants(owner))
        os.kill(owner, signal.SIGKILL)
        assert kill_orphans(pool, TIMEOUT_S) == []


class TestWorkers:
    """Workers are the forks of Spark's daemon."""

    def test_not_the_daemon(self) -> None:
        """Every worker is killed, and the daemon is not."""
        with python(DAEMON, "pyspark.worker") as process:
            assert process.stdout is not None
            assert process.stdout.readline() == f"{process.pid}\n".encode()
            workers = find(os.getpid(), "worker")
            assert len(workers) == 2
            assert {parent(worker) for worker in workers} == {process.pid}


class TestOrphans:
    """Processes that outlive their job are killed."""

    def test_killed_and_named(self) -> None:
        """A process that runs after the timeout is returned and ends."""
        with python(OWNER) as process:
            assert kill_orphans([process.pid], 0.1) == [process.pid]
            assert process.wait(TIMEOUT_S) == -signal.SIGKILL
