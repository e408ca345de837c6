"""A consumer loop with confluent-kafka.

Answer a batch, send the answers, wait for their acknowledgement, then commit.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from confluent_kafka import Consumer, KafkaException, Producer

from bench.contenders import common

if TYPE_CHECKING:
    import argparse
    import threading

    from confluent_kafka import KafkaError


def run(args: argparse.Namespace, stopping: threading.Event) -> None:
    """Answer messages until `stopping` is set."""
    common.load()  # before joining, so that the group does not wait
    consumer = Consumer(
        {
            "bootstrap.servers": args.bootstrap_servers,
            "group.id": args.group,
            "auto.offset.reset": "earliest",
            "enable.auto.commit": False,
        }
    )
    producer = Producer({"bootstrap.servers": args.bootstrap_servers, "linger.ms": 5})
    failed: list[KafkaError] = []

    def delivered(error: KafkaError | None, _: object) -> None:
        if error is not None:
            failed.append(error)

    # The callback delays a rebalance until `consume`, when the last batch is committed.
    consumer.subscribe([args.source], on_revoke=lambda *_: None)
    try:
        while not stopping.is_set():
            records = consumer.consume(common.BATCH, timeout=0.2)
            failed += [error for record in records if (error := record.error())]
            if failed:
                raise KafkaException(failed[0])
            answers = common.answers((record.value() or b"" for record in records), pipe=args.pipe)
            for record, answer in zip(records, answers, strict=True):
                producer.produce(args.target, answer, record.key(), on_delivery=delivered)
            producer.flush()
            if records and not failed:
                consumer.commit(asynchronous=False)
    finally:
        consumer.close()


if __name__ == "__main__":
    parser = common.parser(__doc__)
    parser.add_argument("--pipe", action="store_true", help="nlp.pipe instead of nlp")
    run(parser.parse_args(), common.stop_on_sigterm())
