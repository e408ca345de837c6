"""Add failpoints to a job: Python imports this module at start if its folder is on PYTHONPATH.

Replace confluent-kafka's producer before the job imports it, so production code needs no hook. At
each point of a transaction look for an armed failpoint (`failpoints.py`), which only one process
can hit. The driver's producers, which claim partitions at a start, have failpoints of their own.
The model of the job (`cheap_model.py`) has one too, in the processes of the pool.
"""

from __future__ import annotations

import json
import os
import signal
import time
from pathlib import Path
from typing import Any

import confluent_kafka

FOLDER = Path(os.environ["FAULTS_FAILPOINTS"])
# Workers are forks of Spark's daemon and keep its command line.
IN_WORKER = b"pyspark.worker" in Path("/proc/self/cmdline").read_bytes()
MAX_HOLD_S = 30.0


def reach_in_transaction(point: str) -> None:
    """Reach a point of a worker's transaction, or of the driver's that claims a partition."""
    reach(point if IN_WORKER else f"claim-{point}")


def reach(name: str) -> None:
    """Hit the failpoint if it is armed: die if this worker is the target, else wait."""
    mine = FOLDER / f"{name}.{os.getpid()}"
    try:
        (FOLDER / f"{name}.armed").rename(mine)
    except FileNotFoundError:
        return
    target = mine.read_text()
    draft = mine.with_suffix(".draft")
    draft.write_text(json.dumps({"pid": os.getpid(), "time": time.time()}))
    draft.rename(FOLDER / f"{name}.hit")
    if target == "worker":
        os.kill(os.getpid(), signal.SIGKILL)
    # The campaign kills another process while this one waits here.
    deadline = time.monotonic() + MAX_HOLD_S
    while not (FOLDER / f"{name}.release").exists() and time.monotonic() < deadline:
        time.sleep(0.002)
    mine.unlink(missing_ok=True)  # this process goes on


def is_last(offsets: list[Any]) -> bool:
    """Return whether the committed offsets are the end of the running micro-batch."""
    checkpoint = (FOLDER / "checkpoint").read_text()
    entries = [entry for entry in Path(checkpoint, "offsets").glob("*") if entry.name.isdecimal()]
    newest = max(entries, key=lambda entry: int(entry.name))
    (*_, line) = newest.read_text().splitlines()
    ends = json.loads(line)
    return all(ends[p.topic][str(p.partition)] == p.offset for p in offsets)


class Producer(confluent_kafka.Producer):
    """A producer with failpoints in its transactions."""

    _offsets: list[Any]

    def begin_transaction(self) -> None:
        """Reach `before-send`."""
        reach_in_transaction("before-send")
        super().begin_transaction()

    def produce(self, *args: Any, **named: Any) -> None:  # noqa: ANN401 - the producer's own
        """Reach `amid-send`."""
        super().produce(*args, **named)
        reach_in_transaction("amid-send")

    def flush(self, timeout: float = -1) -> int:
        """Reach `after-send`."""
        unsent = super().flush(timeout)
        reach_in_transaction("after-send")
        return unsent

    def send_offsets_to_transaction(self, offsets: list[Any], *args: Any) -> None:  # noqa: ANN401
        """Remember the offsets of the transaction."""
        super().send_offsets_to_transaction(offsets, *args)
        self._offsets = offsets

    def commit_transaction(self, timeout: float = -1) -> None:
        """Reach `before-commit`, `after-commit`, and after a task's last commit that point too."""
        reach_in_transaction("before-commit")
        super().commit_transaction(timeout)
        reach_in_transaction("after-commit")
        last = FOLDER / "after-last-commit.armed"
        if IN_WORKER and last.exists() and is_last(self._offsets):
            reach("after-last-commit")


vars(confluent_kafka)["Producer"] = Producer
