"""Bytewax: a dataflow on a cluster of processes, since workers in one process share the GIL.

It keeps offsets in its own recovery store, not in the consumer group.
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
    values = common.answers((message.value for message in messages), pipe=True)
    return [
        KafkaSinkMessage(message.key, value)
        for message, value in zip(messages, values, strict=True)
    ]


def dataflow(args: argparse.Namespace) -> Dataflow:
    """Return the dataflow from Kafka to Kafka."""
    flow = Dataflow("ner")
    brokers = [args.bootstrap_servers]
    read = kop.input("read", flow, brokers=brokers, topics=[args.source], batch_size=common.BATCH)
    op.raises("fail", read.errs)
    answers = op.flat_map_batch("answer", read.oks, answer)
    kop.output("write", answers, brokers=brokers, topic=args.target)
    return flow


def work(args: argparse.Namespace, recovery: Path, addresses: list[str], number: int) -> None:
    """Run one process of the cluster until SIGTERM."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())
    common.load()
    config = RecoveryConfig(str(recovery))
    cluster_main(dataflow(args), addresses, number, recovery_config=config)


def run(args: argparse.Namespace) -> None:
    """Answer messages until SIGTERM."""
    stopping = common.stop_on_sigterm()
    recovery = args.folder / "recovery"
    if not recovery.exists():
        recovery.mkdir()
        init_db_dir(recovery, args.processes)
    addresses = [f"{HOST}:{port}" for port in free_ports(args.processes)]
    # Threads of librdkafka and Rust do not survive a fork.
    context = multiprocessing.get_context("spawn")
    workers = [
        context.Process(target=work, args=(args, recovery, addresses, number))
        for number in range(args.processes)
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
