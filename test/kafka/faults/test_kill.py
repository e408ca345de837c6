"""What is killed comes back, and nothing is lost."""

from __future__ import annotations

import json
import os
import signal
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from jobs import Program, environment

if TYPE_CHECKING:
    from collections.abc import Callable

    from conftest import Record

    from deploy.local.broker import Broker

COUNT = 60


@pytest.fixture
def of_job(
    broker: Broker,
    topics: tuple[str, str, str],
    models: Callable[..., Path],
    produce: Callable[..., None],
    tmp_path: Path,
) -> dict[str, str]:
    """Return the environment of a job that takes seconds for the messages that wait for it."""
    produce(
        topics[0],
        *(
            {"value": json.dumps({"text": f"t{i}", "lang": "en", "uuid": str(i)}).encode()}
            for i in range(COUNT)
        ),
    )
    return environment(
        broker.bootstrap_servers,
        topics,
        models("Slow", seconds=0.1),
        tmp_path / "checkpoint",
        TIDEMILL__STREAM__MAX_OFFSETS_PER_TRIGGER="15",
        TIDEMILL__STREAM__TRIGGER="available-now",
    )


def wait_for_results(
    read_topic: Callable[[str], list[Record]], topic: str, program: Program
) -> None:
    """Wait until the first micro-batch is out."""
    while not read_topic(topic):
        assert program.process.poll() is None, program.output
        time.sleep(0.05)


def answers(records: list[Record]) -> dict[str, set[str]]:
    """Return what each message was answered with, by uuid."""
    said: dict[str, set[str]] = {}
    for record in records:
        result = json.loads(record.value or b"")
        said.setdefault(result["uuid"], set()).add(result["answer"])
    return said


EXPECTED = {str(i): {f"t{i}"} for i in range(COUNT)}


def descendants(pid: int) -> dict[int, str]:
    """Return the processes below a process, and their command lines (proc(5))."""
    parents, commands = {}, {}
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                stat = (folder / "stat").read_text()
                command = (folder / "cmdline").read_bytes()
            except OSError:
                continue  # it has ended meanwhile
            parents[int(folder.name)] = int(stat.rpartition(")")[2].split()[1])
            commands[int(folder.name)] = command.replace(b"\0", b" ").decode()
    found = {pid}
    while more := {child for child, parent in parents.items() if parent in found} - found:
        found |= more
    return {child: commands[child] for child in found - {pid}}


class TestKill:
    """SIGKILL, in the midst of the work."""

    def test_the_job(
        self,
        of_job: dict[str, str],
        topics: tuple[str, str, str],
        read_topic: Callable[[str], list[Record]],
        committed: Callable[[str], dict[str, str]],
        tmp_path: Path,
    ) -> None:
        """A job that is killed with its Java and started again answers everything, alike."""
        with Program(tmp_path / "first", of_job, "stream") as program:
            wait_for_results(read_topic, topics[1], program)
            time.sleep(0.7)
            os.killpg(program.process.pid, signal.SIGKILL)
            program.wait()
        assert len(read_topic(topics[1])) < COUNT
        with Program(tmp_path / "second", of_job, "stream") as program:
            assert program.wait() == 0, program.output
        assert answers(read_topic(topics[1])) == EXPECTED
        assert read_topic(topics[2]) == []
        assert committed(topics[0])["LAG"] == "0"

    def test_a_worker(
        self,
        of_job: dict[str, str],
        topics: tuple[str, str, str],
        read_topic: Callable[[str], list[Record]],
        tmp_path: Path,
    ) -> None:
        """A Python worker that is killed costs its task a second attempt, and nothing else."""
        with Program(tmp_path, of_job, "stream") as program:
            wait_for_results(read_topic, topics[1], program)
            workers = {
                pid: command
                for pid, command in descendants(program.process.pid).items()
                if "pyspark.daemon" in command
            }
            daemon = min(workers)
            for pid in workers:
                if pid != daemon:
                    os.kill(pid, signal.SIGKILL)
            assert len(workers) > 1
            assert program.wait() == 0, program.output
        assert answers(read_topic(topics[1])) == EXPECTED
        assert read_topic(topics[2]) == []

    def test_the_broker(
        self,
        broker: Broker,
        of_job: dict[str, str],
        topics: tuple[str, str, str],
        read_topic: Callable[[str], list[Record]],
        committed: Callable[[str], dict[str, str]],
        tmp_path: Path,
    ) -> None:
        """A broker that is killed and comes back delays the answers; the job does not end."""
        with Program(tmp_path, of_job, "stream") as program:
            wait_for_results(read_topic, topics[1], program)
            broker.kill()
            time.sleep(3)
            broker.start()
            assert program.wait() == 0, program.output
        assert answers(read_topic(topics[1])) == EXPECTED
        assert read_topic(topics[2]) == []
        assert committed(topics[0])["LAG"] == "0"
        assert program.output.count("offsets not committed") <= 1
