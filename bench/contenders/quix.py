"""Quix Streams.

It processes one message at a time; its only batches are windows, which are per key.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from quixstreams import Application

from bench.contenders import common

if TYPE_CHECKING:
    import argparse


def answer(message: dict[str, Any]) -> dict[str, Any]:
    """Return the answer to a message."""
    entities = common.entities(common.load()(message["text"]))
    return {"uuid": message["uuid"], "lang": message["lang"], "ner": entities}


def run(args: argparse.Namespace) -> None:
    """Answer messages until SIGTERM, then commit and stop."""
    common.load()  # before joining, so that the group does not wait
    application = Application(
        broker_address=args.bootstrap_servers,
        consumer_group=args.group,
        auto_offset_reset="earliest",
        processing_guarantee="at-least-once",
        producer_extra_config={"linger.ms": 5},
        auto_create_topics=False,
        state_dir=args.folder / f"state-{os.getpid()}",  # two processes cannot share one safely
        loglevel="WARNING",
    )
    messages = application.dataframe(application.topic(args.source, value_deserializer="json"))
    messages.apply(answer).to_topic(application.topic(args.target, value_serializer="json"))
    application.run()


if __name__ == "__main__":
    run(common.parser(__doc__).parse_args())
