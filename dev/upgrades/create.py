"""Make the states that the test of upgrades starts from, with the code of commit b80ab4a.

Run this file from a checkout of that commit, whose modules it imports, with the packages that its
`make setup` installs:

    PYTHONPATH=.:test/doubles:test/kafka:test/faults .venv/bin/python \
        .../dev/upgrades/create.py

It writes `b80ab4a.tar.xz` beside itself: the data folder of a cleanly stopped Kafka broker, and the
checkpoints of four jobs that used it. For each delivery, one job was stopped and one was killed in
the middle of a micro-batch.
"""

from __future__ import annotations

import signal
import tarfile
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import states
from lane import Lane
from program import descendants, kill
from records import INPUT_LIMIT

from app.streaming.preflight import ADDED_BYTES
from deploy.local.broker import Broker
from deploy.local.distribution import fetch_kafka
from deploy.local.topics import committed_offsets, create_topic

if TYPE_CHECKING:
    from collections.abc import Callable

    from program import Program
    from states import Message

CHECKOUT = Path.cwd()
# The hook can hold a worker in the middle of a transaction.
PYTHONPATH = ":".join(str(CHECKOUT / name) for name in ("test/faults/hook", "", "test/doubles"))
TIMEOUT_S = 150


def main() -> None:
    """Write the archive."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with Broker(folder / "broker", fetch_kafka(), properties=states.KEEP_ALL) as broker:
            # The job that leaves a transaction open comes last: Kafka aborts it after a minute.
            for end in states.ENDS:
                for delivery in states.DELIVERIES:
                    leave(broker, folder / f"{delivery}-{end}", delivery, end)
        pack(folder)
    print(f"{states.ARCHIVE}: {states.ARCHIVE.stat().st_size} bytes")  # noqa: T201


def leave(broker: Broker, folder: Path, delivery: str, end: str) -> None:
    """Run a job on its own topics, stop or kill it, and leave messages unread."""
    folder.mkdir()
    lane = make_lane(broker, folder)
    environment = lane.environment(
        "Hanging",
        options={"until": str(folder / "gate"), "on": states.HELD},
        STREAM__DELIVERY=delivery,
        STREAM__ARROW_BATCH_SIZE="2",
    )
    environment |= {"PYTHONPATH": PYTHONPATH, "FAULTS_ORDERS": str(folder)}
    produce(lane, states.BEFORE)
    with lane.program(environment) as program:
        wait_until(program, lambda: committed(lane) == len(states.BEFORE))
        if end == "stopped":
            stop(lane, program)
        else:
            interrupt(lane, program, delivery)
    produce(lane, states.AFTER)


def stop(lane: Lane, program: Program) -> None:
    """Stop a job after it has answered all messages."""
    (lane.folder / "gate").touch()
    produce(lane, states.DURING)
    due = len(states.BEFORE + states.DURING)
    wait_until(program, lambda: committed(lane) == due)
    program.process.send_signal(signal.SIGTERM)
    assert program.wait() == 0, program.output


def interrupt(lane: Lane, program: Program, delivery: str) -> None:
    """Kill a job in the middle of a micro-batch, after it has written some of the outcomes.

    With exactly-once, kill it when a transaction lacks only its commit.
    """
    produce(lane, states.DURING)
    unheld = [message for message in states.DURING if message.partition != states.HELD_PARTITION]
    due = len(states.BEFORE) + len(unheld)
    wait_until(program, lambda: len(lane.results()) + len(lane.dead_letters()) >= due)
    if delivery == "exactly-once":
        (lane.folder / "before-commit.order").write_text("group")
        (lane.folder / "gate").touch()
        wait_until(program, (lane.folder / "before-commit.taken").exists)
    kill([program.process.pid, *descendants(program.process.pid)])
    program.wait()


def make_lane(broker: Broker, folder: Path) -> Lane:
    """Create topics that keep their records for ever."""
    keep = {"retention.ms": "-1"}
    written = keep | {"max.message.bytes": str(INPUT_LIMIT + ADDED_BYTES)}
    names = [f"{topic}-{folder.name}" for topic in ("in", "out", "dead")]
    for name, configs in zip(names, (keep, written, written), strict=True):
        create_topic(broker.bootstrap_servers, name, partitions=states.PARTITIONS, configs=configs)
    return Lane(broker, *names, folder)


def produce(lane: Lane, messages: tuple[Message, ...]) -> None:
    """Send messages."""
    lane.produce(*(message.record for message in messages))


def committed(lane: Lane) -> int:
    """Return the sum of the group's committed offsets."""
    servers = lane.broker.bootstrap_servers
    return sum(committed_offsets(servers, lane.source, lane.source).values())


def wait_until(program: Program, condition: Callable[[], object]) -> None:
    """Wait until a condition holds; fail if the job ends before that."""
    deadline = time.monotonic() + TIMEOUT_S
    while not condition():
        program.must_run()
        assert time.monotonic() < deadline, f"still false after {TIMEOUT_S} s:\n{program.output}"
        time.sleep(0.1)


def pack(folder: Path) -> None:
    """Write the archive, without files that a broker restores and without a user's name."""

    def anonymous(entry: tarfile.TarInfo) -> tarfile.TarInfo | None:
        if entry.name.endswith((".lock", ".timeindex", ".index")):
            return None
        entry.uid = entry.gid = 0
        entry.uname = entry.gname = ""
        return entry

    with tarfile.open(states.ARCHIVE, "w:xz") as archive:
        archive.add(folder / "broker/data", "data", filter=anonymous)
        for checkpoint in sorted(folder.glob("*/checkpoint")):
            archive.add(checkpoint, checkpoint.parent.name, filter=anonymous)


if __name__ == "__main__":
    main()
