"""The demo's steps in their order, one function each."""

from __future__ import annotations

import os
import sys
import time
from contextlib import closing
from typing import TYPE_CHECKING, Final

from rich.live import Live

from dev import ROOT
from dev.demo import messages
from dev.demo.console_tools import broker_commands, job_commands, result_commands, show
from dev.demo.lag import lag_reader
from dev.demo.screen import answers_table, step
from dev.kafka.broker import Broker
from dev.kafka.distribution import VERSION, fetch_kafka
from dev.kafka.ports import free_ports, is_free
from dev.kafka.process import NotReady, spawn, stop, wait_for_line
from dev.kafka.tools import write_tools
from dev.kafka.topics import create_topic, topic_names
from tidemill.spark.jars import connector_jars

if TYPE_CHECKING:
    import subprocess
    from contextlib import ExitStack
    from pathlib import Path

    from rich.console import Console

    from dev.demo.messages import Answer, Source

FOLDER: Final = ROOT / ".tidemill" / "demo"
LOG: Final = FOLDER / "stream.log"
INPUT: Final = ROOT / "deploy" / "local" / "input.json"
TOPICS: Final = ("ner-input", "ner-output", "ner-output.dlq")
PORTS: Final = (9092, 19092, 29092)  # Kafka's default port, and others if it is taken
METRICS_PORT: Final = 9095
PARTITIONS: Final = 4
# Spark compiles its code for these messages; later ones have the latency of a running stream.
FIRST_WAVE: Final = 6
# Results and dead letters are larger than their messages: headers, an error, the envelope.
ADDED_BYTES: Final = 64 * 1024
DEFAULT_LIMIT: Final = 1_048_588  # max.message.bytes of a topic that sets none, like the input
JOB_START_TIMEOUT_S: Final = 180.0
ANSWERS_TIMEOUT_S: Final = 120.0
JOB_STOP_TIMEOUT_S: Final = 60.0


def fetch(console: Console) -> Path:
    """Download Kafka and Spark's Kafka connector, if missing; return the folder of Kafka's jars."""
    with step(console, f"Kafka {VERSION}") as report:
        libs = fetch_kafka(report=report)
    with step(console, "Spark's Kafka connector") as report:
        connector_jars(report)
    return libs


def start_broker(console: Console, running: ExitStack, folder: Path, libs: Path) -> Broker:
    """Start a broker with its data in `folder`, on the first port of `PORTS` that is free."""
    port = next(filter(is_free, PORTS), None)
    broker = Broker(folder, libs, port=port)
    taken = f" (port {PORTS[0]}, which the docs name, is taken)" if port != PORTS[0] else ""
    address = broker.bootstrap_servers + taken
    with step(console, f"Kafka broker at {address}"):
        running.enter_context(broker)
    return broker


def make_topics(console: Console, broker: Broker) -> None:
    """Create the missing topics; those for answers accept larger records than the input."""
    source, results, dead_letters = TOPICS
    existing = topic_names(broker.bootstrap_servers)
    larger = {"max.message.bytes": str(DEFAULT_LIMIT + ADDED_BYTES)}
    with step(console, f"topics {', '.join(TOPICS)}"):
        for topic, configs in ((source, {}), (results, larger), (dead_letters, larger)):
            if topic not in existing:
                create_topic(
                    broker.bootstrap_servers, topic, partitions=PARTITIONS, configs=configs
                )


def start_job(
    console: Console, running: ExitStack, broker: Broker
) -> tuple[subprocess.Popen[bytes], str]:
    """Start the streaming job as a process, and wait until its query runs.

    Return the process and the URL of its metrics and probes.
    """
    port = METRICS_PORT if is_free(METRICS_PORT) else free_ports(1)[0]
    # Use the shipped settings, not those that this shell may have for another job.
    env = {name: value for name, value in os.environ.items() if not name.startswith("TIDEMILL__")}
    env |= {
        "TIDEMILL__KAFKA__BOOTSTRAP_SERVERS": broker.bootstrap_servers,
        "TIDEMILL__STREAM__CHECKPOINT_LOCATION": str(FOLDER / "checkpoint"),
        "TIDEMILL__MONITORING__METRICS_PORT": str(port),
    }
    command = [sys.executable, "-m", "app", "stream", "--config", "config.yaml"]
    with step(console, f"streaming job, its log in {LOG.relative_to(ROOT)}"):
        job = spawn(command, LOG, cwd=ROOT, env=env)
        running.callback(stop_job, console, job)
        wait_for_line(
            job, LOG, "stream started", name="the streaming job", timeout=JOB_START_TIMEOUT_S
        )
    return job, f"http://127.0.0.1:{port}"


def stop_job(console: Console, job: subprocess.Popen[bytes]) -> None:
    """Stop the job between two micro-batches; kill it if that takes too long."""
    with step(console, "stopping the job"):
        stop(job, JOB_STOP_TIMEOUT_S)


def send_and_show(
    console: Console, broker: Broker, job: subprocess.Popen[bytes]
) -> tuple[dict[Source, str], list[Answer]]:
    """Send the input's lines and show the answers as they arrive; return both.

    Wait until all messages are answered, the lag is 0 and nothing arrives any more, so that a
    second answer would be noticed. Raise NotReady if the job ends before that.
    """
    lines = messages.read_lines(INPUT)
    texts: dict[Source, str] = {}
    answers: list[Answer] = []
    lags: list[int] = []
    consumer = messages.follow(broker.bootstrap_servers, *TOPICS[1:])
    with (
        closing(consumer),
        closing(lag_reader(broker)) as reader,
        Live(answers_table(texts, answers), console=console) as live,
    ):
        for wave in (lines[:FIRST_WAVE], lines[FIRST_WAVE:]):
            texts |= messages.send(broker.bootstrap_servers, TOPICS[0], wave)
            deadline = time.monotonic() + ANSWERS_TIMEOUT_S
            while time.monotonic() < deadline:
                arrived = messages.poll(consumer)
                answers += arrived
                lag = sum(
                    partition.lag for partition in reader.read(time.time(), ages=False).partitions
                )
                if [lag] != lags[-1:]:
                    lags.append(lag)
                live.update(answers_table(texts, answers, lags))
                if not (arrived or lag or messages.problems(texts, answers)):
                    break
                if (status := job.poll()) is not None:
                    raise NotReady("the streaming job", f"ended with status {status}", LOG)
    if not console.is_terminal:
        console.line()  # outside a terminal Live does not end the line
    return texts, answers


def keep_running(console: Console, broker: Broker, job: subprocess.Popen[bytes], url: str) -> None:
    """Print commands for a second terminal and wait for Ctrl-C; raise NotReady if the job ends."""
    show(
        console,
        broker_commands(broker, TOPICS, write_tools(broker.libs))
        | result_commands(broker, TOPICS)
        | job_commands(url),
    )
    console.print("\nrunning until Ctrl-C")
    raise NotReady("the streaming job", f"ended with status {job.wait()}", LOG)
