"""A consumer loop with kafka-python.

Answer a batch, send the answers, wait for their acknowledgement, then commit.
"""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

from kafka import KafkaConsumer, KafkaProducer

from bench.contenders import common

if TYPE_CHECKING:
    import argparse
    import threading


def run(args: argparse.Namespace, stopping: threading.Event) -> None:
    """Answer messages until `stopping` is set."""
    common.load()  # before joining, so that the group does not wait
    consumer = KafkaConsumer(
        args.source,
        bootstrap_servers=args.bootstrap_servers,
        group_id=args.group,
        auto_offset_reset="earliest",
        enable_auto_commit=False,
        max_poll_records=common.BATCH,
    )
    producer = KafkaProducer(bootstrap_servers=args.bootstrap_servers, acks="all", linger_ms=5)
    with closing(producer), closing(consumer):
        while not stopping.is_set():
            polled = consumer.poll(timeout_ms=200)
            records = [record for partition in polled.values() for record in partition]
            answers = common.answers((record.value for record in records), pipe=args.pipe)
            sent = [
                producer.send(args.target, answer, key=record.key)
                for record, answer in zip(records, answers, strict=True)
            ]
            producer.flush()
            for future in sent:
                future.get()  # raises if the send failed
            if sent:
                consumer.commit()


if __name__ == "__main__":
    parser = common.parser(__doc__)
    parser.add_argument("--pipe", action="store_true", help="nlp.pipe instead of nlp")
    run(parser.parse_args(), common.stop_on_sigterm())
