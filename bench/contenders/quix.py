"""Quix Streams.

It hands over one message at a time: its only batches are windows, and those are kept for each key.
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
    found = common.entities(common.load()(message["text"]))
    return {"uuid": message["uuid"], "lang": message["lang"], "ner": found}


def run(asked: argparse.Namespace) -> None:
    """Answer messages until SIGTERM, which ends it after a last commit."""
    common.load()  # before it joins: the group shall not wait for it
    application = Application(
        broker_address=asked.bootstrap_servers,
        consumer_group=asked.group,
        auto_offset_reset="earliest",
        processing_guarantee="at-least-once",
        producer_extra_config={"linger.ms": 5},
        auto_create_topics=False,
        state_dir=asked.folder / f"state-{os.getpid()}",  # two that make one together can fail
        loglevel="WARNING",
    )
    messages = application.dataframe(application.topic(asked.source, value_deserializer="json"))
    messages.apply(answer).to_topic(application.topic(asked.target, value_serializer="json"))
    application.run()


if __name__ == "__main__":
    run(common.parser(__doc__).parse_args())
