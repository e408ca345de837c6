"""A consumer loop with confluent-kafka.

A batch is answered, sent, known to have arrived, and then committed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from confluent_kafka import Consumer, KafkaException, Producer

from bench.contenders import common

if TYPE_CHECKING:
    import argparse
    import threading

    from confluent_kafka import KafkaError


def run(asked: argparse.Namespace, stopping: threading.Event) -> None:
    """Answer messages until `stopping` is set."""
    common.load()  # before it joins: the group shall not wait for it
    consumer = Consumer(
        {
            "bootstrap.servers": asked.bootstrap_servers,
            "group.id": asked.group,
            "auto.offset.reset": "earliest",
            "enable.auto.commit": False,
        }
    )
    producer = Producer({"bootstrap.servers": asked.bootstrap_servers, "linger.ms": 5})
    failed: list[KafkaError] = []

    def delivered(error: KafkaError | None, _: object) -> None:
        if error is not None:
            failed.append(error)

    # With a callback partitions are given up between two batches only, when all is committed.
    consumer.subscribe([asked.source], on_revoke=lambda *_: None)
    try:
        while not stopping.is_set():
            records = consumer.consume(common.BATCH, timeout=0.2)
            failed += [error for record in records if (error := record.error())]
            if failed:
                raise KafkaException(failed[0])
            answers = common.answers((record.value() for record in records), pipe=asked.pipe)
            for record, answer in zip(records, answers, strict=True):
                producer.produce(asked.target, answer, record.key(), on_delivery=delivered)
            producer.flush()
            if records and not failed:
                consumer.commit(asynchronous=False)
    finally:
        consumer.close()


if __name__ == "__main__":
    parser = common.parser(__doc__)
    parser.add_argument("--pipe", action="store_true", help="nlp.pipe instead of nlp")
    run(parser.parse_args(), common.stop_on_sigterm())
