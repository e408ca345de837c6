"""A job goes on from what an older version left behind, whether that was stopped or killed."""

from __future__ import annotations

import json
import shutil
import tarfile
from collections import Counter
from typing import TYPE_CHECKING

import pytest

from dev.kafka.broker import Broker
from dev.kafka.distribution import fetch_kafka
from dev.kafka.topics import committed_offsets
from dev.pipeline.pipeline import Pipeline
from dev.upgrades import states
from faults import scenario

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from dev.pipeline.records import Record
    from dev.upgrades.states import Message

# A killed job left a transaction open. The new job has to end it, since the broker does not.
NEVER_ABORT = {"transaction.abort.timed.out.transaction.cleanup.interval.ms": str(2**31 - 1)}


@pytest.fixture(scope="module")
def old(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The unpacked states: a broker's data folder, and a checkpoint for each state."""
    folder = tmp_path_factory.mktemp("old")
    with tarfile.open(states.ARCHIVE) as archive:
        archive.extractall(folder, filter="data")
    return folder


@pytest.fixture(scope="module")
def old_broker(old: Path) -> Iterator[Broker]:
    """A broker with the topics, groups and transactions of the old jobs."""
    with Broker(old, fetch_kafka(), properties=states.KEEP_ALL | NEVER_ABORT) as running:
        yield running


@pytest.fixture(params=states.DELIVERIES)
def delivery(request: pytest.FixtureRequest) -> str:
    """The delivery of the old job, and of the new one."""
    return str(request.param)


@pytest.fixture
def make_pipeline(
    old: Path, old_broker: Broker, delivery: str, tmp_path: Path
) -> Callable[[str], Pipeline]:
    """Return the topics of an old job, and a copy of its checkpoint: `make_pipeline("killed")`."""

    def make(end: str) -> Pipeline:
        state = f"{delivery}-{end}"
        shutil.copytree(old / state, tmp_path / "checkpoint")
        return Pipeline(old_broker, f"in-{state}", f"out-{state}", f"dead-{state}", tmp_path)

    return make


class TestUpgrade:
    """Nothing is lost, and nothing is doubled but what at-least-once repeats after a kill."""

    def test_stopped(self, make_pipeline: Callable[[str], Pipeline], delivery: str) -> None:
        """A job that was stopped goes on with what has come since."""
        pipeline = make_pipeline("stopped")
        assert outcomes(pipeline) == expected(states.BEFORE + states.DURING)
        run(pipeline, delivery)
        check(pipeline, states.BEFORE + states.DURING + states.AFTER)

    def test_killed(self, make_pipeline: Callable[[str], Pipeline], delivery: str) -> None:
        """A job that was killed finishes its micro-batch, goes on, and can be started again."""
        pipeline = make_pipeline("killed")
        written = outcomes(pipeline)
        assert expected(states.BEFORE) < written < expected(states.BEFORE + states.DURING)
        assert not (pipeline.folder / "checkpoint/commits/1").exists()
        repeated = states.DURING if delivery == "at-least-once" else ()
        run(pipeline, delivery)
        check(pipeline, states.BEFORE + states.DURING + states.AFTER, repeated)
        pipeline.produce(*(message.record for message in states.NEW))
        run(pipeline, delivery)
        check(pipeline, states.BEFORE + states.DURING + states.AFTER + states.NEW, repeated)


def run(pipeline: Pipeline, delivery: str) -> None:
    """Run the job with the old one's settings until its group has no lag, and stop it."""
    gate = pipeline.folder / "gate"
    gate.touch()  # the model waits for nothing now
    settings = pipeline.environment(
        "Hanging",
        options={"until": str(gate), "on": states.HELD},
        STREAM__DELIVERY=delivery,
        STREAM__ARROW_BATCH_SIZE="2",
    )
    servers, total = pipeline.broker.bootstrap_servers, len(pipeline.inputs())
    with pipeline.program(settings) as program:

        def has_no_lag() -> bool:
            program.must_run()
            return (
                sum(committed_offsets(servers, pipeline.source, pipeline.source).values()) == total
            )

        scenario.wait_until(has_no_lag, details=lambda: f":\n{program.output}")
        scenario.end(program)


def expected(messages: Sequence[Message]) -> Counter[tuple[str, str]]:
    """Return the outcome that each message must have."""
    return Counter((message.uuid, message.outcome) for message in messages)


def outcomes(pipeline: Pipeline) -> Counter[tuple[str, str]]:
    """Return the outcomes that are in the topics now."""
    return Counter(map(outcome, [*pipeline.results(), *pipeline.dead_letters()]))


def outcome(record: Record) -> tuple[str, str]:
    """Return a record's uuid, and its answer or error class."""
    uuid = (record.key or b"").decode()
    if error := record.header("tidemill.error.class"):
        return uuid, error
    result = json.loads(record.value or b"")
    assert result["uuid"] == uuid
    return uuid, result["answer"]


def check(
    pipeline: Pipeline, messages: Sequence[Message], repeated: Sequence[Message] = ()
) -> None:
    """Fail if an outcome is missing or wrong, or doubled for a message that is not `repeated`."""
    found, due = outcomes(pipeline), expected(messages)
    assert not due - found
    assert (found - due).keys() <= expected(repeated).keys()
