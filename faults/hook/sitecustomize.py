"""Points at which a job can be killed: Python imports this where its folder is on PYTHONPATH.

confluent-kafka's producer is replaced before the job imports it; production code knows nothing of
it. At each point the process looks for an order (`orders.py`), which one process only can take.
The driver's producers, which claim partitions at a start, have points of their own.
"""

from __future__ import annotations

import json
import os
import signal
import time
from pathlib import Path
from typing import Any

import confluent_kafka

ORDERS = Path(os.environ["FAULTS_ORDERS"])
# A fork of Spark's daemon, which keeps the daemon's command line.
IN_WORKER = b"pyspark.worker" in Path("/proc/self/cmdline").read_bytes()
HELD_AT_MOST_S = 30.0


def meet(point: str) -> None:
    """Take the order for this point, if there is one, and do what it says."""
    name = point if IN_WORKER else f"claim-{point}"
    taken = ORDERS / f"{name}.{os.getpid()}"
    try:
        (ORDERS / f"{name}.order").rename(taken)
    except FileNotFoundError:
        return
    victim = taken.read_text()
    noted = taken.with_suffix(".noted")
    noted.write_text(json.dumps({"pid": os.getpid(), "time": time.time()}))
    noted.rename(ORDERS / f"{name}.taken")
    if victim == "worker":
        os.kill(os.getpid(), signal.SIGKILL)
    # Another process is to die while this one stands here; then it may go on, if it still lives.
    deadline = time.monotonic() + HELD_AT_MOST_S
    while not (ORDERS / f"{name}.release").exists() and time.monotonic() < deadline:
        time.sleep(0.002)


def ends_its_part(sent: list[Any]) -> bool:
    """Tell whether a committed offset is where the running micro-batch ends in its partition."""
    checkpoint = (ORDERS / "checkpoint").read_text()
    entries = [entry for entry in Path(checkpoint, "offsets").glob("*") if entry.name.isdecimal()]
    newest = max(entries, key=lambda entry: int(entry.name))
    (*_, line) = newest.read_text().splitlines()
    ends = json.loads(line)
    return all(ends[at.topic][str(at.partition)] == at.offset for at in sent)


class Producer(confluent_kafka.Producer):
    """A producer that meets the points of a transaction."""

    _sent: list[Any]

    def begin_transaction(self, *args: object) -> None:
        """Meet `before-send`."""
        meet("before-send")
        super().begin_transaction(*args)

    def produce(self, *args: object, **named: object) -> None:
        """Meet `amid-send`."""
        super().produce(*args, **named)
        meet("amid-send")

    def flush(self, *args: object) -> int:
        """Meet `after-send`."""
        left = super().flush(*args)
        meet("after-send")
        return left

    def send_offsets_to_transaction(self, positions: list[Any], *args: object) -> None:
        """Remember how far the transaction goes."""
        super().send_offsets_to_transaction(positions, *args)
        self._sent = positions

    def commit_transaction(self, *args: object) -> None:
        """Meet `before-commit`, `after-commit`, and `after-last-commit` with a task's last."""
        meet("before-commit")
        super().commit_transaction(*args)
        meet("after-commit")
        last = ORDERS / "after-last-commit.order"
        if IN_WORKER and last.exists() and ends_its_part(self._sent):
            meet("after-last-commit")


confluent_kafka.Producer = Producer
