"""The broker aborts a transaction that lasts too long; its messages are processed once."""

from __future__ import annotations

import json
import os
import signal
import sys
from contextlib import closing
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from kafka import KafkaAdminClient

from dev import PYTHONPATH
from dev.pipeline.pipeline import quick_spark
from faults import scenario
from faults.failpoints import Failpoints
from faults.outcome_reader import TIMEOUT_S

if TYPE_CHECKING:
    from dev.pipeline.pipeline import Pipeline

HOOK = Path(__file__).with_name("short_transactions")


def states(pipeline: Pipeline) -> set[str]:
    """Return the states of the job's transactions, according to the broker."""
    names = [f"{pipeline.source}/{pipeline.source}/{p}" for p in range(3)]
    with closing(KafkaAdminClient(bootstrap_servers=pipeline.broker.bootstrap_servers)) as admin:
        return {answer.state.name for answer in admin.describe_transactions(names).values()}


class TestTransactionTimeout:
    """A worker is paused before its commit, for longer than the transaction timeout."""

    def test_answered_once(self, pipeline: Pipeline) -> None:
        """Kafka aborts it; the worker resumes, fails to commit, and sends everything again."""
        failpoints = Failpoints(pipeline.folder / "failpoints")
        pipeline.produce(*islice(scenario.messages(), 60))
        job = {
            **pipeline.environment(
                "Upper",
                STREAM__DELIVERY="exactly-once",
                # On a busy machine other transactions may last too long, too.
                SPARK=json.dumps(quick_spark() | {"spark.master": "local[2,8]"}),
            ),
            **failpoints.environment(pipeline.folder / "checkpoint"),
            "PYTHONPATH": f"{HOOK}:{PYTHONPATH}:{os.environ['PYTHONPATH']}",
            "PYSPARK_PYTHON": sys.executable,
        }
        with pipeline.program(job) as program:
            with failpoints.armed("before-commit", "nobody", TIMEOUT_S) as hit:
                assert hit, program.output
                os.kill(hit.pid, signal.SIGSTOP)
                scenario.wait_until(lambda: "COMPLETE_ABORT" in states(pipeline))
                os.kill(hit.pid, signal.SIGCONT)
            scenario.wait_for_all(pipeline, program)
            scenario.end(program)
        scenario.check(pipeline, "exactly-once")
