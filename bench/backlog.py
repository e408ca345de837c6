"""Sample the CPU time and the memory of a job that answers a long backlog of small messages."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import TYPE_CHECKING

from bench import testbed
from dev.kafka.topics import end_offsets
from dev.pipeline import records
from dev.pipeline.job_process import descendants
from faults import gauges

if TYPE_CHECKING:
    from dev.kafka.broker import Broker

BACKLOG = 1_000_000
TICK = 1 / os.sysconf("SC_CLK_TCK")  # seconds


def samples(broker: Broker, folder: Path, delivery: str, count: int = BACKLOG) -> list[list[float]]:
    """Answer small messages with a model that does nothing, and sample the job once a second.

    Return for each sample: seconds, answered messages, CPU seconds and MiB (PSS) of the whole job.
    """
    pipeline = testbed.make_pipeline(broker, folder)
    message = '{"uuid":"%d","text":"t","lang":"en"}'
    small = ({"value": (message % n).encode(), "key": b"%d" % n} for n in range(count))
    records.produce(broker.bootstrap_servers, pipeline.source, *small)
    taken = []
    with pipeline.program(testbed.sleeping(pipeline, {}, STREAM__DELIVERY=delivery)) as job:
        job.wait_for("stream started")
        start, answered = time.monotonic(), 0
        while answered < count:
            job.must_run()
            time.sleep(1)
            pids = [job.process.pid, *descendants(job.process.pid)]
            answered = sum(end_offsets(broker.bootstrap_servers, pipeline.output).values())
            seconds = time.monotonic() - start
            memory = sum(map(gauges.pss, pids))
            used = sum(map(cpu_seconds, pids))
            taken.append([round(seconds, 1), answered, round(used, 2), round(memory)])
        job.process.terminate()
        assert job.wait() == 0, job.output
    return taken


def cpu_seconds(pid: int) -> float:
    """Return the CPU time of a process and of its ended children."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text("utf-8", "replace")
    except OSError:
        return 0.0
    return sum(map(int, stat.rpartition(")")[2].split()[11:15])) * TICK
