"""A batch reads a range of a topic, and writes to topics all at once."""

from __future__ import annotations

import json
import signal
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from pyarrow import parquet

from dev.kafka.topics import committed_offsets, create_topic, delete_records
from dev.pipeline.job_process import JobProcess
from dev.pipeline.models import model_entry
from dev.pipeline.pipeline import message
from tidemill.batch import run as runs
from tidemill.batch.formats import kafka as format_kafka
from tidemill.batch.offset_range import Range
from tidemill.bootstrap.batch import batch
from tidemill.bootstrap.places import Bounds
from tidemill.errors import OutputExists, TopicMissing
from tidemill.kafka.group_commit import GroupCommitter
from tidemill.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from dev.kafka.broker import Broker
    from dev.kafka.certificates import Certificates
    from dev.pipeline.records import Record
    from tidemill.batch.block import Block
    from tidemill.batch.summary import Summary

# Programs that die at a moment that a test cannot hit from outside.
DIE = "import os, signal; die = lambda *_: os.kill(os.getpid(), signal.SIGKILL); "
RUN = "; from tidemill.cli import main; main()"
BEFORE_THE_COMMIT = (
    f"{DIE} from tidemill.kafka import single_transaction as t; t._persist = die{RUN}"
)
AFTER_THE_COMMIT = (
    f"{DIE} from tidemill.batch.staging import Staging; Staging.drop_parts = die{RUN}"
)


@dataclass(frozen=True)
class Batches:
    """Run batches in a folder of their own."""

    servers: str
    folder: Path

    def models(self, adapter: str = "Upper", **fields: Any) -> None:  # noqa: ANN401 - of an entry
        """Write models.yaml with one model, which answers every message."""
        entry = model_entry(adapter) | {"match": {}} | fields
        (self.folder / "models.yaml").write_text(yaml.safe_dump({"models": [entry]}))

    def run(
        self,
        source: str,
        target: str,
        *bounds: str,
        rows: int = 10,
        kafka: dict[str, Any] | None = None,
    ) -> Summary:
        """Run one in this process."""
        settings = Settings(
            models=self.folder / "models.yaml",
            kafka=kafka or {"bootstrap_servers": self.servers},
            pool={"processes": 1},
        )
        return batch(
            settings,
            source,
            target,
            lambda *_, **__: None,
            engine="local",
            part_rows=rows,
            bounds=Bounds(*bounds),
        )

    def program(self, *arguments: str, code: str = "") -> JobProcess:
        """Start one in a process of its own, which runs some code instead if there is any."""
        environment = {
            "TIDEMILL__KAFKA__BOOTSTRAP_SERVERS": self.servers,
            "TIDEMILL__POOL__PROCESSES": "1",
        }
        launcher = (sys.executable, "-c", code) if code else (sys.executable, "-m", "app")
        return JobProcess(self.folder, environment, "batch", *arguments, launcher=launcher)


@pytest.fixture
def batches(broker: Broker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Batches:
    """A folder with a model that answers in capitals, which is the working folder."""
    monkeypatch.chdir(tmp_path)
    made = Batches(broker.bootstrap_servers, tmp_path)
    made.models()
    return made


@pytest.fixture
def source(make_topic: Callable[..., str], produce: Callable[..., None]) -> str:
    """A topic with 30 messages in each of two partitions, a second apart."""
    # Otherwise the broker soon removes messages that are so old.
    topic = make_topic("in", partitions=2, configs={"retention.ms": "-1"})
    texts = [{"partition": p, "timestamp": 1000 * n} for n in range(1, 31) for p in (0, 1)]
    produce(topic, *(message(i, f"text {i}") | each for i, each in enumerate(texts)))
    return topic


def lines(folder: str) -> list[Any]:
    """Return what the lines of a folder's files hold."""
    files = sorted(Path(folder).iterdir()) if Path(folder).is_dir() else []
    return [json.loads(line) for file in files for line in file.read_bytes().splitlines()]


def origins(folder: str) -> list[tuple[int, int]]:
    """Return where the results in a folder came from."""
    sources = [line["tidemill.source"] for line in lines(f"{folder}/results")]
    return [(each["partition"], each["offset"]) for each in sources]


def whole(*ranges: range) -> list[tuple[int, int]]:
    """Return the places in some ranges of offsets, one for each partition."""
    return [(partition, offset) for partition, each in enumerate(ranges) for offset in each]


class TestInput:
    """A topic is an input like a file."""

    def test_whole_topic(self, batches: Batches, source: str) -> None:
        """By default, everything is read; the same live group keeps its offsets, and no member."""
        GroupCommitter(Settings(kafka={"bootstrap_servers": batches.servers}).kafka, "live")(
            {(source, 0): 3, (source, 1): 4}
        )
        summary = batches.run(f"kafka:{source}", "out")
        assert summary.messages == summary.results == 60
        assert origins("out") == whole(range(30), range(30))
        assert summary.offsets == {0: (0, 30), 1: (0, 30)}
        assert committed_offsets(batches.servers, "live", source) == {0: 3, 1: 4}

    @pytest.mark.parametrize(
        ("bounds", "ranges"),
        [
            (("10", "12"), (range(10, 12), range(10, 12))),
            (("0:28", "1:2"), (range(28, 30), range(2))),
            (("1970-01-01T00:00:03", "1970-01-01T01:00:05+01:00"), (range(2, 4), range(2, 4))),
            (("1970-01-01T00:00:29.5", "latest"), (range(29, 30), range(29, 30))),
            (("1h", "latest"), (range(0), range(0))),
        ],
    )
    def test_range(
        self, batches: Batches, source: str, bounds: tuple[str, str], ranges: Sequence[range]
    ) -> None:
        """Offsets and times choose a part of it."""
        batches.run(f"kafka:{source}", "out", *bounds)
        assert origins("out") == whole(*ranges)

    def test_parquet(self, batches: Batches, source: str) -> None:
        """The results may become a table."""
        batches.run(f"kafka:{source}", "parquet:out", "0", "5")
        table = parquet.read_table("out/results").to_pylist()
        assert sorted(row["tidemill.source"]["offset"] for row in table) == sorted([*range(5)] * 2)
        assert {row["answer"] for row in table} == {f"TEXT {i}" for i in range(10)}

    def test_removed(self, batches: Batches, source: str) -> None:
        """What retention has removed of the range is a warning, and the rest is answered."""
        delete_records(batches.servers, source, {0: 12})
        summary = batches.run(f"kafka:{source}", "out", "5", "20")
        assert origins("out") == whole(range(12, 20), range(5, 20))
        assert summary.warnings == [
            "retention has removed 7 offsets of the range: 0:5 to 0:11",
        ]

    def test_removed_while_read(self, batches: Batches, source: str) -> None:
        """A split whose messages are removed after it was planned reports how many are gone."""
        kafka = Settings(kafka={"bootstrap_servers": batches.servers}).kafka
        topic = format_kafka.kafka_format(kafka, Range(), 30)
        planned, pieces = topic.plan(source, None)
        delete_records(batches.servers, source, {0: 12, 1: 30})
        read: list[list[Block]] = [list(topic.read(planned, piece)) for piece in pieces]
        assert [sum(block.missing for block in blocks) for blocks in read] == [12, 30]
        assert [sum(block.size for block in blocks) for blocks in read] == [30, 30]
        assert [m.offset for block in read[0] for m in block.messages] == [*range(12, 30)]
        assert not any(block.messages for block in read[1])

    def test_secrets(
        self,
        batches: Batches,
        source: str,
        broker: Broker,
        certificates: Certificates,
        credentials: tuple[str, str],
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        """A run that was ended leaves no password in its folder."""
        secured = {
            "bootstrap_servers": broker.sasl_servers,
            "security_protocol": "SASL_SSL",
            "sasl_mechanism": "SCRAM-SHA-512",
            "sasl_username": credentials[0],
            "sasl_password": credentials[1],
            "ssl_ca_file": certificates.ca,
        }
        monkeypatch.setattr(runs, "publish", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            batches.run(f"kafka:{source}", "out", kafka=secured)
        left = [each.read_text() for each in Path(".out.tidemill").rglob("*") if each.is_file()]
        assert any('"kafka"' in text for text in left)
        assert not any(credentials[1] in text for text in left)

    def test_no_topic(self, batches: Batches) -> None:
        """A topic that does not exist is an error."""
        with pytest.raises(TopicMissing):
            batches.run("kafka:nowhere", "out")

    def test_killed(self, batches: Batches, source: str, produce: Callable[..., None]) -> None:
        """A later run has the same range, even if messages came or went: none is lost unseen."""
        gate = Path("gate").absolute()
        batches.models(
            "Hanging",
            options={"until": str(gate), "on": "text 40"},  # in the fifth part of twelve
            limits={"seconds": 3600},
        )
        command = ("-i", f"kafka:{source}", "-o", "out", "--part-rows", "5")
        with batches.program(*command) as program:
            receipts = Path(".out.tidemill/.run/receipts")
            while not receipts.is_dir() or len(list(receipts.glob("*-end"))) < 2:
                program.must_run()
                time.sleep(0.01)
            program.process.kill()
        gate.touch()
        done = len(list(receipts.glob("*-end")))
        assert 2 <= done < 12
        produce(source, message("late") | {"partition": 0})
        delete_records(batches.servers, source, {1: 28})
        with batches.program(*command) as program:
            assert program.wait() == 0, program.output
        summary = json.loads(Path("out/summary.json").read_bytes())
        answered = origins("out")
        assert len(set(answered)) == len(answered) == summary["messages"]
        gone = {*whole(range(30), range(30))} - {*answered}
        assert summary["warnings"] == [
            f"retention removed {len(gone)} offsets before this batch read them"
        ]
        assert gone <= {(1, offset) for offset in range(28)}


@pytest.fixture
def output(broker: Broker, make_topic: Callable[..., str]) -> str:
    """An output topic for small results, and the one for its dead letters."""
    limit = {"max.message.bytes": "20000"}
    name = make_topic("out", partitions=2, configs=limit)
    create_topic(broker.bootstrap_servers, f"{name}.dlq", configs=limit)
    return name


class TestOutput:
    """Results and dead letters reach their topics together, once."""

    def test_records(
        self,
        batches: Batches,
        output: str,
        produce: Callable[..., None],
        make_topic: Callable[..., str],
        read_topic: Callable[[str], list[Record]],
    ) -> None:
        """They have the key, value and headers that the stream would write."""
        batches.models("FlakyModel")
        source = make_topic("in")
        texts = ("a", "raise", "huge", "b")
        produce(
            source, *(message(t, t) | {"key": t.encode(), "headers": [("x", b"1")]} for t in texts)
        )
        summary = batches.run(f"kafka:{source}", f"kafka:{output}")
        assert (summary.results, summary.errors) == (
            2,
            {"PredictionFailed": 1, "ResultTooLarge": 1},
        )
        results, letters = read_topic(output), read_topic(f"{output}.dlq")
        assert sorted((r.key, json.loads(r.value or b"")["answer"], r.source) for r in results) == [
            (b"a", "A", (0, 0)),
            (b"b", "B", (0, 3)),
        ]
        assert [(r.key, r.value, r.source, r.header("tidemill.error.class")) for r in letters] == [
            (b"raise", message("raise", "raise")["value"], (0, 1), "PredictionFailed"),
            (b"huge", message("huge", "huge")["value"], (0, 2), "ResultTooLarge"),
        ]
        assert all(record.headers[0] == ("x", b"1") for record in (*results, *letters))

    def test_same_again(
        self, batches: Batches, output: str, read_topic: Callable[[str], list[Record]]
    ) -> None:
        """The same command again sends nothing, and says where the summary is."""
        Path("in.jsonl").write_bytes(b"\n".join(message(i)["value"] for i in range(3)))
        batches.run("in.jsonl", f"kafka:{output}")
        with pytest.raises(OutputExists, match=rf"\.tidemill/batch/{output}/\w+ exists") as refused:
            batches.run("in.jsonl", f"kafka:{output}")
        assert f"has been sent to {output}" in refused.value.hint
        (summary,) = Path(f".tidemill/batch/{output}").iterdir()
        assert [each.name for each in summary.iterdir()] == ["summary.json"]
        assert len(read_topic(output)) == 3
        assert {record.header("tidemill.source.line") for record in read_topic(output)} == {*"123"}

    @pytest.mark.parametrize(
        ("code", "sent"), [(BEFORE_THE_COMMIT, 0), (AFTER_THE_COMMIT, 18)], ids=["before", "after"]
    )
    def test_killed(
        self,
        batches: Batches,
        output: str,
        read_topic: Callable[[str], list[Record]],
        code: str,
        sent: int,
    ) -> None:
        """Killed just before or after the commit, a run and the next one send everything once."""
        values = [message(i, "raise" if i % 10 == 0 else "t")["value"] for i in range(20)]
        Path("in.jsonl").write_bytes(b"\n".join(values))
        command = ("-i", "in.jsonl", "-o", f"kafka:{output}", "--part-rows", "7")
        with batches.program(*command, code=code) as program:
            assert program.wait() == -signal.SIGKILL, program.output
        assert len(read_topic(output)) == sent
        batches.run("in.jsonl", f"kafka:{output}", rows=7)
        results, letters = read_topic(output), read_topic(f"{output}.dlq")
        lines = [record.header("tidemill.source.line") for record in (*results, *letters)]
        assert sorted(map(int, filter(None, lines))) == [*range(1, 21)]
        assert len(letters) == 2
