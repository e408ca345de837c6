"""A consumer loop with kafka-python.

A batch is answered, sent, known to have arrived, and then committed.
"""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

from kafka import KafkaConsumer, KafkaProducer

from bench.contenders import common

if TYPE_CHECKING:
    import argparse
    import threading


def run(asked: argparse.Namespace, stopping: threading.Event) -> None:
    """Answer messages until `stopping` is set."""
    common.load()  # before it joins: the group shall not wait for it
    consumer = KafkaConsumer(
        asked.source,
        bootstrap_servers=asked.bootstrap_servers,
        group_id=asked.group,
        auto_offset_reset="earliest",
        enable_auto_commit=False,
        max_poll_records=common.BATCH,
    )
    producer = KafkaProducer(bootstrap_servers=asked.bootstrap_servers, acks="all", linger_ms=5)
    with closing(producer), closing(consumer):
        while not stopping.is_set():
            polled = consumer.poll(timeout_ms=200)
            records = [record for partition in polled.values() for record in partition]
            answers = common.answers((record.value for record in records), pipe=asked.pipe)
            sent = [
                producer.send(asked.target, answer, key=record.key)
                for record, answer in zip(records, answers, strict=True)
            ]
            producer.flush()
            for future in sent:
                future.get()  # raises what kept it from arriving
            if sent:
                consumer.commit()


if __name__ == "__main__":
    parser = common.parser(__doc__)
    parser.add_argument("--pipe", action="store_true", help="nlp.pipe instead of nlp")
    run(parser.parse_args(), common.stop_on_sigterm())
