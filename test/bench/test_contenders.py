"""The contenders of the benchmark do the same job as ours: the loops, and one on Spark."""

from __future__ import annotations

import json
import re
import time
from typing import TYPE_CHECKING, Any

import pytest

from bench.contenders.common import PACKAGE
from bench.contenders.table import CONTENDERS
from bench.corpus import messages, texts
from dev.kafka.broker import Broker
from dev.kafka.distribution import fetch_kafka
from dev.kafka.topics import committed_offsets, create_topic, end_offsets
from dev.pipeline import records
from dev.pipeline.job_process import JobProcess
from dev.pipeline.pipeline import quick_spark
from tidemill.models.adapters.spacy_ner import SpacyNer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from bench.contenders.table import Contender

COUNT = 60
SOURCE = "texts"
LOOPS = [contender for contender in CONTENDERS if contender.script.endswith("_loop.py")]
# Only one of those on Spark, since they are slow to start.
ON_SPARK = next(one for one in CONTENDERS if one.script == "row_udf.py")


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    """A broker with a topic of texts."""
    with Broker(tmp_path_factory.mktemp("broker"), fetch_kafka()) as running:
        create_topic(running.bootstrap_servers, SOURCE, partitions=2)
        records.produce(running.bootstrap_servers, SOURCE, *messages(COUNT))
        yield running


@pytest.fixture(scope="module")
def expected() -> dict[str, Any]:
    """The answer to each text by key, with the entities of the shipped model."""
    uuids = [message["key"].decode() for message in messages(COUNT)]
    entities = SpacyNer(PACKAGE).predict_all(texts(COUNT))
    return {
        uuid: {"uuid": uuid, "lang": "en", "ner": json.loads(ner)}
        for uuid, ner in zip(uuids, entities, strict=True)
    }


@pytest.fixture
def answers(broker: Broker, tmp_path: Path) -> Callable[[Contender], dict[str, Any]]:
    """Return a function that runs a contender until all is answered, and returns its answers."""

    def answer(contender: Contender) -> dict[str, Any]:
        target = topic_of(contender)
        create_topic(broker.bootstrap_servers, target)
        arguments = {
            "bootstrap-servers": broker.bootstrap_servers,
            "source": SOURCE,
            "target": target,
            "group": target,
            "folder": tmp_path,
            "max-offsets": COUNT // 2,
        }
        command = [
            *contender.command(),
            *(f"--{name}={value}" for name, value in arguments.items()),
        ]
        environment = {"TIDEMILL__SPARK": json.dumps(quick_spark())}
        with JobProcess(tmp_path, environment, *command, launcher=()) as program:
            while sum(end_offsets(broker.bootstrap_servers, target).values()) < COUNT:
                program.must_run()
                time.sleep(0.2)
            program.process.terminate()
            assert program.wait() == 0, program.output
        written = records.read(broker.bootstrap_servers, target)
        assert len(written) == COUNT
        return {(record.key or b"").decode(): json.loads(record.value or b"") for record in written}

    return answer


def topic_of(contender: Contender) -> str:
    """Return the name of a contender's output topic and group."""
    return re.sub(r"\W+", "-", contender.name)


class TestLoops:
    @pytest.mark.parametrize("contender", LOOPS, ids=lambda contender: contender.name)
    def test_answers_what_it_commits(
        self,
        contender: Contender,
        broker: Broker,
        answers: Callable[[Contender], dict[str, Any]],
        expected: dict[str, Any],
    ) -> None:
        """A loop answers each message once, as our model does, and commits it."""
        assert answers(contender) == expected
        committed = committed_offsets(broker.bootstrap_servers, topic_of(contender), SOURCE)
        assert committed == end_offsets(broker.bootstrap_servers, SOURCE)


class TestOnSpark:
    def test_answers(
        self,
        answers: Callable[[Contender], dict[str, Any]],
        expected: dict[str, Any],
    ) -> None:
        """A query answers each message once, as our model does, over several micro-batches."""
        assert answers(ON_SPARK) == expected
