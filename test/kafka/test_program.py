"""The job as a program: stops, exit codes, what it says."""

from __future__ import annotations

import json
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from jobs import ROOT, Program, environment

from app.streaming.jars import connector_jars

if TYPE_CHECKING:
    from collections.abc import Callable

    from conftest import Record

    from deploy.local.broker import Broker

Topics = tuple[str, str, str]


def messages(count: int) -> list[dict[str, bytes]]:
    """Return good messages."""
    return [
        {"value": json.dumps({"text": "t", "lang": "en", "uuid": str(i)}).encode()}
        for i in range(count)
    ]


class TestStop:
    """A stop ends the job between two micro-batches, and commits what was done."""

    @pytest.mark.parametrize("how", ["SIGTERM", "SIGINT", "stop"])
    def test_nothing_is_done_twice(
        self,
        how: str,
        broker: Broker,
        topics: Topics,
        models: Callable[..., Path],
        produce: Callable[..., None],
        read_topic: Callable[[str], list[Record]],
        committed: Callable[[str], dict[str, str]],
        tmp_path: Path,
    ) -> None:
        """Asked in the midst of a batch, it ends that and exits 0; the rest waits."""
        produce(topics[0], *messages(40))
        of_job = environment(
            broker.bootstrap_servers,
            topics,
            models("Slow", seconds=0.3),
            tmp_path / "checkpoint",
            TIDEMILL__STREAM__MAX_OFFSETS_PER_TRIGGER="10",
        )
        with Program(tmp_path / "first", of_job, "stream") as program:
            program.wait_for("stream started")
            while not read_topic(topics[1]):
                assert program.process.poll() is None, program.output
            if how == "stop":
                with Program(tmp_path / "stop", of_job, "stop") as stop:
                    assert stop.wait() == 0, stop.output
            else:
                program.process.send_signal(signal.Signals[how])
            assert program.wait(60) == 0, program.output
            assert "stream stopped" in program.output
            assert "Traceback" not in program.output
        done = len(read_topic(topics[1]))
        assert 10 <= done < 40
        assert done % 10 == 0, "a batch was cut"
        row = committed(topics[0])
        assert (int(row["CURRENT-OFFSET"]), int(row["LAG"])) == (done, 40 - done)

        of_job |= {
            "TIDEMILL__STREAM__TRIGGER": "available-now",
            "TIDEMILL__STREAM__MAX_OFFSETS_PER_TRIGGER": "1000",
        }
        if how == "SIGTERM":
            with Program(tmp_path / "second", of_job, "stream") as program:
                assert program.wait() == 0, program.output
            answers = [json.loads(r.value or b"")["uuid"] for r in read_topic(topics[1])]
            assert sorted(answers, key=int) == [str(i) for i in range(40)]
            assert committed(topics[0])["LAG"] == "0"


class TestSparkSubmit:
    """The job starts under spark-submit, where a signal reaches Java only."""

    def test_answers_until_the_marker(
        self,
        broker: Broker,
        topics: Topics,
        models: Callable[..., Path],
        produce: Callable[..., None],
        read_topic: Callable[[str], list[Record]],
        committed: Callable[[str], dict[str, str]],
        tmp_path: Path,
    ) -> None:
        """`tidemill stop` ends it: exit code 0, its answers written, its offsets committed."""
        produce(topics[0], *messages(5))
        of_job = environment(
            broker.bootstrap_servers,
            topics,
            models("Upper"),
            tmp_path / "checkpoint",
            TIDEMILL__SPARK='{"spark.sql.shuffle.partitions": "1"}',
            PYSPARK_PYTHON=sys.executable,  # as which spark-submit looks for Spark too
        )
        submit = [
            str(Path(sys.executable).with_name("spark-submit")),
            *("--master", "local[2]", "--conf", "spark.ui.enabled=false"),
            *("--jars", ",".join(map(str, connector_jars()))),
        ]
        script = str(ROOT / "app" / "run.py")
        with Program(tmp_path / "job", of_job, script, launcher=submit) as program:
            program.wait_for("stream started")
            while len(read_topic(topics[1])) < 5:
                assert program.process.poll() is None, program.output
            with Program(tmp_path / "stop", of_job, "stop") as stop:
                assert stop.wait() == 0, stop.output
            assert program.wait(60) == 0, program.output
        assert committed(topics[0])["CURRENT-OFFSET"] == "5"


class TestFailures:
    """A failure is one line, and an exit code that tells a restart from a correction."""

    def test_outage_of_the_model(
        self,
        broker: Broker,
        topics: Topics,
        models: Callable[..., Path],
        produce: Callable[..., None],
        read_topic: Callable[[str], list[Record]],
        tmp_path: Path,
    ) -> None:
        """A broken model fails the job, which a restart may mend; nothing is dead-lettered."""
        produce(topics[0], *messages(5))
        of_job = environment(
            broker.bootstrap_servers, topics, models("Broken"), tmp_path / "checkpoint"
        )
        with Program(tmp_path, of_job, "stream") as program:
            assert program.wait() == 1
            errors = [line for line in program.output.splitlines() if "[error" in line]
            assert len(errors) == 1, program.output
            assert "test:1 fails on its own sample" in errors[0]
            assert "no route" in errors[0]
            assert "Traceback" not in program.output
            assert len(program.output.splitlines()) < 8, program.output
        assert read_topic(topics[1]) == read_topic(topics[2]) == []

    def test_unloadable_model(
        self,
        broker: Broker,
        topics: Topics,
        models: Callable[..., Path],
        produce: Callable[..., None],
        tmp_path: Path,
    ) -> None:
        """A model that cannot be loaded is a wrong configuration: exit code 2."""
        produce(topics[0], *messages(5))
        of_job = environment(
            broker.bootstrap_servers, topics, models("Upper", unknown=1), tmp_path / "checkpoint"
        )
        with Program(tmp_path, of_job, "stream") as program:
            assert program.wait() == 2, program.output
            assert "takes no arguments" in program.output

    def test_lost_data(
        self,
        broker: Broker,
        topics: Topics,
        models: Callable[..., Path],
        produce: Callable[..., None],
        tmp_path: Path,
    ) -> None:
        """Records that Kafka dropped before they were answered stop the job, which says why."""
        from kafka import TopicPartition  # noqa: PLC0415 - for this one test
        from kafka.admin import KafkaAdminClient  # noqa: PLC0415

        of_job = environment(
            broker.bootstrap_servers,
            topics,
            models("Upper"),
            tmp_path / "checkpoint",
            TIDEMILL__STREAM__TRIGGER="available-now",
        )
        produce(topics[0], *messages(5))
        with Program(tmp_path / "first", of_job, "stream") as program:
            assert program.wait() == 0, program.output
        produce(topics[0], *messages(5))
        admin = KafkaAdminClient(bootstrap_servers=broker.bootstrap_servers)
        admin.delete_records({TopicPartition(topics[0], 0): 8})
        admin.close()
        with Program(tmp_path / "second", of_job, "stream") as program:
            assert program.wait() == 1, program.output
            assert "fail_on_data_loss" in program.output
            assert "Traceback" not in program.output

    def test_missing_topics_and_small_limits(
        self, broker: Broker, topics: Topics, make_topic: Callable[..., str],
        models: Callable[..., Path], tmp_path: Path,
    ) -> None:  # fmt: skip
        """The job refuses topics that could lose a message; `check` says the same."""
        small = make_topic("small")
        of_job = environment(
            broker.bootstrap_servers,
            ("not-there", small, topics[2]),
            models("Upper"),
            tmp_path / "checkpoint",
        )
        for command in ("stream", "check"):
            with Program(tmp_path, of_job, command) as program:
                assert program.wait() == 2, program.output
                assert "there is no topic not-there" in program.output
                assert f"max.message.bytes of {small} is 1048588" in program.output
                assert "--add-config max.message.bytes=" in program.output

    def test_check_of_a_good_configuration(
        self, broker: Broker, topics: Topics, models: Callable[..., Path], tmp_path: Path
    ) -> None:
        """`check` exits 0 where the job can run."""
        of_job = environment(
            broker.bootstrap_servers, topics, models("Upper"), tmp_path / "checkpoint"
        )
        with Program(tmp_path, of_job, "check") as program:
            assert program.wait() == 0, program.output
