"""Bytewax: a dataflow on a cluster of processes, as workers in one process share Python's lock.

It keeps offsets in a recovery store of its own, not with the consumer group.
"""

from __future__ import annotations

import multiprocessing
import signal
import sys
from typing import TYPE_CHECKING

import bytewax.operators as op
from bytewax.connectors.kafka import KafkaSinkMessage
from bytewax.connectors.kafka import operators as kop
from bytewax.dataflow import Dataflow
from bytewax.recovery import RecoveryConfig, init_db_dir
from bytewax.testing import cluster_main

from bench.contenders import common
from dev.kafka.ports import HOST, free_ports

if TYPE_CHECKING:
    import argparse
    from pathlib import Path

    from bytewax.connectors.kafka import KafkaSourceMessage


def answer(messages: list[KafkaSourceMessage]) -> list[KafkaSinkMessage]:
    """Return the answers to a batch of messages."""
    found = common.answers((message.value for message in messages), pipe=True)
    return [
        KafkaSinkMessage(message.key, value) for message, value in zip(messages, found, strict=True)
    ]


def dataflow(asked: argparse.Namespace) -> Dataflow:
    """Return the dataflow from Kafka to Kafka."""
    flow = Dataflow("ner")
    brokers = [asked.bootstrap_servers]
    read = kop.input("read", flow, brokers=brokers, topics=[asked.source], batch_size=common.BATCH)
    op.raises("fail", read.errs)
    answers = op.flat_map_batch("answer", read.oks, answer)
    kop.output("write", answers, brokers=brokers, topic=asked.target)
    return flow


def work(asked: argparse.Namespace, recovery: Path, addresses: list[str], number: int) -> None:
    """Run one process of the cluster until SIGTERM."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())
    common.load()
    config = RecoveryConfig(str(recovery))
    cluster_main(dataflow(asked), addresses, number, recovery_config=config)


def run(asked: argparse.Namespace) -> None:
    """Answer messages until SIGTERM."""
    stopping = common.stop_on_sigterm()
    recovery = asked.folder / "recovery"
    if not recovery.exists():
        recovery.mkdir()
        init_db_dir(recovery, asked.processes)
    addresses = [f"{HOST}:{port}" for port in free_ports(asked.processes)]
    # Not forked: librdkafka and Rust's threads would not be there.
    context = multiprocessing.get_context("spawn")
    workers = [
        context.Process(target=work, args=(asked, recovery, addresses, number))
        for number in range(asked.processes)
    ]
    for worker in workers:
        worker.start()
    while not stopping.wait(0.2) and all(worker.is_alive() for worker in workers):
        pass
    for worker in workers:
        worker.terminate()
    for worker in workers:
        worker.join()
    sys.exit(max(abs(worker.exitcode or 0) for worker in workers))


if __name__ == "__main__":
    parser = common.parser(__doc__)
    parser.add_argument("--processes", type=int, default=2)
    run(parser.parse_args())
