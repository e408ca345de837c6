"""Train the models, answer the same offers in a batch and in a stream, and compare the answers.

Run it from the repository's root: `python -m examples.cities.run`. It starts a Kafka broker.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from dev import PYTHONPATH, ROOT
from dev.demo import steps
from dev.demo.screen import make_console, step
from dev.kafka.process import NotReady, spawn, stop
from dev.kafka.topics import create_topic
from dev.pipeline import records
from examples.cities import messages, report, train
from examples.cities.report import read_dead_letter, read_result
from tidemill import TidemillError, load_models
from tidemill.streaming.preflight import ADDED_BYTES

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from rich.console import Console

    from examples.cities.messages import Offer
    from examples.cities.report import Answer

CONFIG = Path(__file__).with_name("config.yaml")
WORK = ROOT / ".tidemill" / "cities"
TOPICS = ("offers", "probabilities", "probabilities.dlq")
OFFERS = 10_000


def main() -> int:
    """Return 0 if each offer has the answer that it should have, in the batch and in the stream."""
    console = make_console()
    shutil.rmtree(WORK, ignore_errors=True)
    WORK.mkdir(parents=True)
    try:
        with step(console, "training the models that are missing"):
            train.train()
        offers = list(messages.offers(OFFERS))
        batch = answer_file(console, offers)
        stream = answer_topic(console, offers)
    except (TidemillError, OSError) as error:
        print("\n".join([f"failed: {error}", *getattr(error, "__notes__", ())]))
        return 1
    table = report.who_answered(load_models(train.MODELS), offers, stream)
    console.print(report.show("the stream's answers", table))
    unusual = report.unusual_messages(offers, batch, stream)
    console.print(report.show("unusual messages", unusual))
    problems = list(report.problems(table, offers, batch, stream))
    print("\n".join(problems) or f"Batch and stream agree on each of {OFFERS:,} offers.")
    return len(problems)


def answer_file(console: Console, offers: Sequence[Offer]) -> list[Answer]:
    """Write the offers into a file, run a batch on it, and return the answers."""
    source, target = WORK / "offers.jsonl", WORK / "answers"
    source.write_text("".join(f"{offer.line}\n" for offer in offers), "utf-8")
    with step(console, "tidemill batch"):
        tidemill("batch", "--input", str(source), "--output", str(target))
    return list(read_files(target))


def read_files(folder: Path) -> Iterator[Answer]:
    """Yield the answers that a batch has written."""
    for part in folder.glob("results/part-*"):
        with part.open(encoding="utf-8") as lines:
            yield from map(read_result, lines)
    for part in folder.glob("dead-letters/part-*"):
        with part.open(encoding="utf-8") as lines:
            for letter in map(json.loads, lines):
                yield read_dead_letter(letter["value"], letter["headers"])


def answer_topic(console: Console, offers: Sequence[Offer]) -> list[Answer]:
    """Send the offers to a topic, run a stream until it has read all, and return the answers."""
    larger = {"max.message.bytes": str(records.INPUT_LIMIT + ADDED_BYTES)}
    with ExitStack() as running:
        broker = steps.start_broker(console, running, WORK / "broker", steps.fetch(console))
        servers = broker.bootstrap_servers
        for topic, configs in zip(TOPICS, ({}, larger, larger), strict=True):
            create_topic(servers, topic, partitions=4, configs=configs)
        sent = ({"key": offer.passenger.encode(), "value": offer.line.encode()} for offer in offers)
        records.produce(servers, TOPICS[0], *sent)
        with step(console, "tidemill stream"):
            tidemill("stream", KAFKA__BOOTSTRAP_SERVERS=servers, MONITORING__METRICS_PORT="0")
        return list(read_topics(servers, *TOPICS[1:]))


def read_topics(servers: str, results: str, dead_letters: str) -> Iterator[Answer]:
    """Yield the answers that a stream has written."""
    for record in records.read(servers, results):
        yield read_result(record.value or b"")
    for record in records.read(servers, dead_letters):
        headers = {name: (content or b"").decode() for name, content in record.headers}
        yield read_dead_letter(record.value or b"", headers)


def tidemill(command: str, *arguments: str, **settings: str) -> None:
    """Run a command of Tidemill until it ends; its output goes to a file.

    Raises:
        NotReady: It failed; the error has the end of its output.

    """
    log = WORK / f"{command}.log"
    # The settings of this shell may be meant for another job.
    env = {name: value for name, value in os.environ.items() if not name.startswith("TIDEMILL__")}
    env |= {f"TIDEMILL__{name}": value for name, value in settings.items()}
    env["PYTHONPATH"] = PYTHONPATH
    line = [sys.executable, "-m", "app", command, "--config", str(CONFIG), *arguments]
    process = spawn(line, log, cwd=ROOT, env=env)
    try:
        status = process.wait()
    except BaseException:
        stop(process, steps.JOB_STOP_TIMEOUT_S)
        raise
    if status:
        raise NotReady(f"tidemill {command}", f"ended with status {status}", log)


if __name__ == "__main__":
    sys.exit(main())
