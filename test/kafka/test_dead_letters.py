"""List and replay dead letters with a real broker, the real job and the real commands."""

from __future__ import annotations

import json
import re
import time
from collections import Counter
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest
from confluent_kafka import Consumer, Producer
from kafka.admin import ConfigResource, ConfigResourceType, KafkaAdminClient
from typer.testing import CliRunner

from dev.pipeline import records
from dev.pipeline.malformed import corpus
from dev.pipeline.oauth_server import token_endpoint
from dev.pipeline.pipeline import message
from tidemill.cli import cli
from tidemill.dead_letters import group as replay_group
from tidemill.dead_letters.letters import read
from tidemill.dead_letters.position import ReplayProgress
from tidemill.dead_letters.sender import Sender
from tidemill.errors import (
    BrokerUnreachable,
    GroupInUse,
    InvalidSelection,
    NoDeadLetter,
    NoDeadLetterTopic,
    NotDelivered,
    TidemillError,
)
from tidemill.inference.message import Message
from tidemill.kafka import reader
from tidemill.kafka.client_options import librdkafka_options
from tidemill.settings import KafkaSettings

if TYPE_CHECKING:
    from collections.abc import Callable

    from pyspark.sql import SparkSession

    from dev.kafka.broker import Broker
    from dev.kafka.certificates import Certificates
    from dev.pipeline.pipeline import Pipeline
    from tidemill.inference.model import ModelSpec


@pytest.fixture
def tidemill(pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    """Run `tidemill dlq …` with the pipeline's settings; return its output, raise its error."""
    monkeypatch.chdir(pipeline.folder)

    def run(*arguments: str, **settings: str) -> str:
        result = CliRunner().invoke(
            cli, ["dlq", *arguments], env=pipeline.environment("Upper", **settings)
        )
        if isinstance(result.exception, TidemillError):
            result.exception.add_note(result.output)
            raise result.exception
        assert result.exit_code == 0, result.output
        return result.output

    return run


def letter(
    topic: str,
    offset: int = 0,
    *,
    partition: int = 0,
    error: str = "NoModel",
    **record: Any,  # noqa: ANN401 - what confluent-kafka takes
) -> dict[str, Any]:
    """Return the dead letter that the job writes for a message of a topic."""
    added = {
        "tidemill.source.topic": topic,
        "tidemill.source.partition": str(partition),
        "tidemill.source.offset": str(offset),
        "tidemill.source.timestamp": "1700000000000",
        "tidemill.error.class": error,
        "tidemill.error.message": "said",
    }
    headers = [*record.pop("headers", []), *((k, v.encode()) for k, v in added.items())]
    return {"value": b"value %d" % offset, "headers": headers, **record}


def limit(broker: Broker, topic: str, size: int) -> None:
    """Set a topic's largest record, in bytes."""
    admin = KafkaAdminClient(bootstrap_servers=broker.bootstrap_servers)
    config = {"max.message.bytes": size}
    admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, topic, config)])
    admin.close()


def offsets(found: list[records.Record]) -> list[bytes | None]:
    """Return the values in order."""
    return [record.value for record in found]


class TestReplay:
    """A replay after the model is repaired sends the failed messages, and nothing else."""

    SENT: tuple[dict[str, Any], ...] = (
        {**message("good"), "partition": 0},
        {**message(1, "raise"), "key": b"k", "headers": [("a", b"1"), ("a", None)], "partition": 1},
        {"value": b"no JSON", "partition": 1},
        {**message(2, "raise é"), "partition": 2, "headers": [("tidemill.model", b"their own")]},
        {**message(3, "too few"), "partition": 2},
        {**message(4, "raise"), "partition": 2, "key": b""},
    )

    def test_mended(
        self,
        spark: SparkSession,
        pipeline: Pipeline,
        model: Callable[..., ModelSpec],
        tidemill: Callable[..., str],
    ) -> None:
        """Letters of an error class are listed, previewed, sent once, and answered."""
        pipeline.produce(*self.SENT)
        pipeline.answer_all(spark, [model("FlakyModel")])
        choice = "--error", "PredictionFailed"

        output = tidemill("list")
        for part in ("5 dead letters", "PredictionFailed", "InvalidJson", "WrongOutputCount"):
            assert part in output
        lines = [json.loads(line) for line in tidemill("list", *choice, "--json").splitlines()]
        assert {line["source"]["partition"] for line in lines} == {1, 2}
        assert sorted(line["key"] or "" for line in lines) == ["", "", "k"]
        place = next("{partition}/{offset}".format(**line) for line in lines if line["key"] == "k")
        shown = tidemill("show", place)
        for part in ("PredictionFailed", "flakymodel:1", f"{pipeline.source}/1/0", '  "uuid": "1"'):
            assert part in shown

        dry = tidemill("replay", *choice)
        assert "3 would be sent" in dry
        assert "tidemill dlq replay --error PredictionFailed --send" in dry
        assert len(pipeline.inputs()) == len(self.SENT)

        assert "delivered: 3" in tidemill("replay", *choice, "--send")
        again = [record for record in pipeline.inputs() if record.header("tidemill.tries")]
        expected = [record for record in self.SENT if b"raise" in record["value"]]
        assert [(r.partition, r.value, r.key, r.headers) for r in again] == [
            (
                record["partition"],
                record["value"],
                record.get("key"),
                [*record.get("headers", []), ("tidemill.tries", b"1")],
            )
            for record in expected
        ]

        dead = len(pipeline.dead_letters())
        pipeline.answer_all(spark, [model("Slow", options={"seconds": 0})])
        assert len(pipeline.dead_letters()) == dead
        answered = {json.loads(record.value or b"")["uuid"] for record in pipeline.results()}
        assert answered == {"good", "1", "2", "4"}

        assert "0 sent" in tidemill("replay", *choice, "--send")
        assert len(pipeline.inputs()) == len(self.SENT) + 3
        assert "replayed or skipped earlier" in tidemill("replay", *choice)
        assert "3 would be sent" in tidemill("replay", *choice, "--again")

    def test_others_between(
        self,
        spark: SparkSession,
        pipeline: Pipeline,
        model: Callable[..., ModelSpec],
        tidemill: Callable[..., str],
    ) -> None:
        """A preview and a replay report the letters that they skip, and those that keep waiting."""
        sent = [{"value": b"junk"}, message(1, "raise")] * 2 + [{"value": b"junk"}]
        pipeline.produce(*({**record, "partition": 0} for record in sent))
        pipeline.answer_all(spark, [model("Upper")])
        choice = ("replay", "--error", "PredictionFailed")
        for output in (tidemill(*choice), tidemill(*choice, "--send")):
            assert re.search(r"earlier than a selected one: .*│ +2 │", output), output
            assert re.search(r"not selected; they keep waiting +│ +1 │", output), output
        others = tidemill("replay", "--error", "InvalidJson")
        assert "1 would be sent" in others
        assert re.search(r"replayed or skipped earlier .*│ +2 │", others), others

    def test_tries(
        self,
        spark: SparkSession,
        pipeline: Pipeline,
        model: Callable[..., ModelSpec],
        tidemill: Callable[..., str],
    ) -> None:
        """Each replay increments the count, and `--max-tries` excludes letters that reached it."""
        pipeline.produce(message(1, "raise"))
        specs = [model("Upper")]
        pipeline.answer_all(spark, specs)
        for tries in (1, 2):
            assert "delivered: 1" in tidemill("replay", "--send", "--max-tries", "2")
            pipeline.answer_all(spark, specs)
            *_, last = pipeline.dead_letters()
            assert [value for name, value in last.headers if name == "tidemill.tries"] == [
                str(tries).encode()
            ]
        output = tidemill("replay", "--send", "--max-tries", "2")
        assert "0 sent" in output
        assert "replayed 2 times or more" in output
        assert len(pipeline.inputs()) == 3

    def test_hostile(
        self,
        spark: SparkSession,
        pipeline: Pipeline,
        model: Callable[..., ModelSpec],
        tidemill: Callable[..., str],
    ) -> None:
        """Any message returns unchanged, to its partition and in order."""
        pipeline.produce(*corpus(300))
        pipeline.answer_all(spark, [model("FlakyModel")])
        before, dead = pipeline.inputs(), pipeline.dead_letters()
        assert len(dead) > 200
        assert f"{len(dead):,} dead letters" in tidemill("list")
        assert "\x1b" not in tidemill("list", "--limit", "1000")
        tidemill("replay", "--send")
        origin = {(record.partition, record.offset): record for record in before}
        sent = pipeline.inputs()
        for partition in range(3):
            came = [r for r in sent if r.partition == partition]
            new = came[sum(r.partition == partition for r in before) :]
            old = [origin[d.source] for d in dead if d.source[0] == partition]
            assert [(r.key, r.value, r.headers[:-1]) for r in new] == [
                (r.key, r.value, r.headers) for r in old
            ]
            assert {r.headers[-1] for r in new} == {("tidemill.tries", b"1")}


class TestPosition:
    """A consumer group holds the replay progress."""

    def test_named_first_and_then_the_rest(
        self, pipeline: Pipeline, tidemill: Callable[..., str], produce: Callable[..., None]
    ) -> None:
        """A letter that was sent by name is not sent again with the others."""
        produce(pipeline.dead, *(letter(pipeline.source, i) for i in range(4)))
        tidemill("replay", "0/2", "--send")
        assert "0 sent" in tidemill("replay", "0/2", "--send")
        assert "3 would be sent" in tidemill("replay")
        tidemill("replay", "--send")
        assert offsets(pipeline.inputs()) == [b"value 2", b"value 0", b"value 1", b"value 3"]

    def test_what_comes_later(
        self, pipeline: Pipeline, tidemill: Callable[..., str], produce: Callable[..., None]
    ) -> None:
        """The next replay begins where the last one ended, with `--again` at the start."""
        produce(
            pipeline.dead,
            letter(pipeline.source, 0),
            letter(pipeline.source, 1, error="InvalidJson"),
        )
        tidemill("replay", "--error", "InvalidJson", "--send")
        produce(pipeline.dead, letter(pipeline.source, 2))
        tidemill("replay", "--send")
        assert offsets(pipeline.inputs()) == [b"value 1", b"value 2"]
        tidemill("replay", "--error", "NoModel", "--again", "--send")
        assert offsets(pipeline.inputs()) == [b"value 1", b"value 2", b"value 0", b"value 2"]

    def test_not_delivered(
        self,
        pipeline: Pipeline,
        tidemill: Callable[..., str],
        produce: Callable[..., None],
        broker: Broker,
    ) -> None:
        """A refused letter is an error, holds back the progress, and is sent next time."""
        values = [b"small 1", b"large" * 2000, b"small 2"]
        produce(pipeline.dead, *(letter(pipeline.source, i, value=v) for i, v in enumerate(values)))
        none = {"KAFKA__COMPRESSION_TYPE": "none"}
        limit(broker, pipeline.source, 5000)
        with pytest.raises(NotDelivered, match="1 of 3") as caught:
            tidemill("replay", "--send", **none)
        assert "Message size too large" in str(caught.value.__notes__)
        limit(broker, pipeline.source, 1_048_588)
        assert "delivered: 1" in tidemill("replay", "--send", **none)
        assert offsets(pipeline.inputs()) == [values[0], values[2], values[1]]
        assert "0 sent" in tidemill("replay", "--send")

    def test_somebody_in_the_group(
        self, pipeline: Pipeline, broker: Broker, tidemill: Callable[..., str]
    ) -> None:
        """If the group has members, progress cannot be committed, so nothing is sent."""
        records.produce(broker.bootstrap_servers, pipeline.dead, letter(pipeline.source))
        kafka = KafkaSettings(bootstrap_servers=broker.bootstrap_servers)
        group = f"{pipeline.source}-replay"
        options = {"group.id": group, "client.id": "dashboard"}
        with closing(Consumer({**librdkafka_options(kafka), **options})) as consumer:
            consumer.subscribe([pipeline.dead])
            deadline = time.monotonic() + 240
            while not consumer.assignment():
                consumer.poll(0.2)
                assert time.monotonic() < deadline
            assert "Nothing was sent" in tidemill("replay")
            with pytest.raises(GroupInUse, match=rf"{group} has members \(dashboard at 127"):
                tidemill("replay", "--send")
            # A member may also join during a replay.
            with pytest.raises(GroupInUse, match="dashboard at 127"):
                replay_group.commit(kafka, group, pipeline.dead, {0: ReplayProgress(0)})
            assert pipeline.inputs() == []
        tidemill("replay", "--send")
        assert len(pipeline.inputs()) == 1

    def test_one_fails_for_ever(
        self,
        pipeline: Pipeline,
        tidemill: Callable[..., str],
        produce: Callable[..., None],
        broker: Broker,
    ) -> None:
        """Letters beyond a refused one are sent once, even if every second letter fails."""
        small = (
            letter(pipeline.source, i, error="NoModel" if i % 2 else "WrongType")
            for i in range(1, 3000)
        )
        produce(
            pipeline.dead, letter(pipeline.source, value=b"large" * 2000, error="NoModel"), *small
        )
        limit(broker, pipeline.source, 5000)
        none = {"KAFKA__COMPRESSION_TYPE": "none"}
        for total in (1501, 1):
            with pytest.raises(NotDelivered, match=f"1 of {total} "):
                tidemill("replay", "--error", "NoModel", "--send", **none)
        assert offsets(pipeline.inputs()) == [b"value %d" % i for i in range(1, 3000, 2)]

    def test_many_fail(
        self,
        pipeline: Pipeline,
        tidemill: Callable[..., str],
        produce: Callable[..., None],
        broker: Broker,
    ) -> None:
        """If the progress is full, nothing is sent twice; a narrower selection makes room."""
        large, small = {"value": b"large" * 2000, "error": "WrongType"}, {"error": "NoModel"}
        every = (letter(pipeline.source, i, **(small if i % 2 else large)) for i in range(1000))
        produce(pipeline.dead, *every)
        limit(broker, pipeline.source, 5000)
        none = {"KAFKA__COMPRESSION_TYPE": "none"}
        sent = 0
        for _ in range(2):
            with pytest.raises(NotDelivered, match="dead letters were not delivered") as caught:
                tidemill("replay", "--send", **none)
            assert "replay progress is full" in str(caught.value.__notes__)
            came = offsets(pipeline.inputs())
            assert came == [b"value %d" % i for i in range(1, 2 * len(came), 2)]
            assert sent <= len(came)
            sent = len(came)
        assert 100 < sent < 500
        assert "delivered: " in tidemill("replay", "--error", "NoModel", "--send", **none)
        assert offsets(pipeline.inputs()) == [b"value %d" % i for i in range(1, 1000, 2)]

    def test_crash(
        self,
        pipeline: Pipeline,
        tidemill: Callable[..., str],
        produce: Callable[..., None],
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        """After a crash before a commit, only that chunk's letters are sent again."""
        produce(pipeline.dead, *(letter(pipeline.source, i) for i in range(5)))
        commits = []

        def crashing(*arguments: Any) -> None:  # noqa: ANN401 - those of `commit`
            commits.append(arguments)
            if len(commits) == 2:
                raise NotDelivered(0, 0)
            commit(*arguments)

        commit = replay_group.commit
        monkeypatch.setattr("tidemill.dead_letters.delivery.CHUNK", 2)
        monkeypatch.setattr(replay_group, "commit", crashing)
        with pytest.raises(NotDelivered):
            tidemill("replay", "--send")
        tidemill("replay", "--send")
        assert offsets(pipeline.inputs()) == [b"value %d" % i for i in (0, 1, 2, 3, 2, 3, 4)]

    def test_a_topic_made_anew(self, pipeline: Pipeline, broker: Broker) -> None:
        """Progress beyond the end of the topic is ignored."""
        kafka = KafkaSettings(bootstrap_servers=broker.bootstrap_servers)
        replay_group.commit(kafka, "g-" + pipeline.dead, pipeline.dead, {0: ReplayProgress(7)})
        extent = replay_group.offset_ranges(kafka, pipeline.dead)
        found = replay_group.positions(kafka, "g-" + pipeline.dead, pipeline.dead, extent)
        assert found == {0: ReplayProgress(0)}


class TestLeftOut:
    """Letters that cannot be sent are counted with the reason."""

    def test_reasons(
        self, pipeline: Pipeline, tidemill: Callable[..., str], produce: Callable[..., None]
    ) -> None:
        """They name other topics, deleted topics or partitions, or hold no message."""
        omitted = letter(pipeline.source, 3)
        omitted["headers"].append(("tidemill.error.omitted", b"key, value and headers: 1 bytes"))
        produce(
            pipeline.dead,
            letter(pipeline.output, 0),
            letter("gone", 1),
            letter(pipeline.source, 2, partition=7, error="MissingField"),
            omitted,
            {"value": b"a stranger's", "headers": [("a", b"1")]},
            letter(pipeline.source, 4),
        )
        sources = {"STREAM__INPUT_TOPICS": json.dumps([pipeline.source, "gone"])}
        output = tidemill("replay", "--send", **sources)
        for part in (
            "delivered: 1",
            f"from {pipeline.output}, which is not an input",
            "the topic gone is gone",
            f"partition 7 of {pipeline.source} is gone",
            "without the message",
            "records that Tidemill did not write",
        ):
            assert part in output
        assert offsets(pipeline.inputs()) == [b"value 4"]
        assert offsets(records.read(pipeline.broker.bootstrap_servers, pipeline.output)) == []
        # The gone ones hold nothing, and go where what they came from is back.
        assert "0 sent" in tidemill("replay", "--send", **sources)
        admin = KafkaAdminClient(bootstrap_servers=pipeline.broker.bootstrap_servers)
        admin.create_partitions({pipeline.source: 8})
        admin.close()
        output = tidemill("replay", "--again", "--error", "MissingField", "--send", **sources)
        assert "delivered: 1" in output
        assert offsets(pipeline.inputs()) == [b"value 4", b"value 2"]
        assert "skipped 1 record that Tidemill did not write" in tidemill("list")

    @pytest.mark.parametrize(
        ("arguments", "error"),
        [
            (["show", "0/5"], NoDeadLetter),
            (["show", "3/0"], NoDeadLetter),
            (["replay", "0/5"], NoDeadLetter),
            (["show", "5"], InvalidSelection),
            (["list", "--since", "yesterday"], InvalidSelection),
        ],
    )
    def test_wrong(
        self, arguments: list[str], error: type[TidemillError], tidemill: Callable[..., str]
    ) -> None:
        """A missing letter or an invalid option is one clear error."""
        with pytest.raises(error):
            tidemill(*arguments)

    def test_no_topic(self, tidemill: Callable[..., str]) -> None:
        """A missing topic is named, and not created."""
        for command in ("list", "replay", "list"):
            with pytest.raises(NoDeadLetterTopic, match="there is no topic nowhere"):
                tidemill(command, STREAM__DEAD_LETTER_TOPIC="nowhere")

    def test_no_broker(self, tidemill: Callable[..., str]) -> None:
        """An absent broker is named."""
        with pytest.raises(BrokerUnreachable, match=r"127\.0\.0\.1:1"):
            tidemill("list", KAFKA__BOOTSTRAP_SERVERS="127.0.0.1:1")


class TestReading:
    """Reading a topic ends, whatever its last offsets hold."""

    def everything(self, kafka: KafkaSettings, topic: str) -> list[Message]:
        """Return all records of a topic."""
        return list(reader.records(kafka, topic, replay_group.offset_ranges(kafka, topic)))

    def test_ends(self, broker: Broker, make_topic: Callable[..., str]) -> None:
        """The topic may be empty, or end with markers, aborted records or an open transaction."""
        kafka = KafkaSettings(bootstrap_servers=broker.bootstrap_servers)
        topic = make_topic("transactions", partitions=2)
        assert self.everything(kafka, topic) == []
        options = {**librdkafka_options(kafka), "transactional.id": topic}
        producer = Producer(options)
        producer.init_transactions(30)
        for value, end in ((b"1", "commit"), (b"2", "abort"), (b"3", "commit"), (b"4", "")):
            producer.begin_transaction()
            producer.produce(topic, value, partition=0)
            producer.flush(30)
            if end == "commit":
                producer.commit_transaction(30)
            elif end == "abort":
                producer.abort_transaction(30)
        assert [m.value for m in self.everything(kafka, topic)] == [b"1", b"3"]
        producer.abort_transaction(30)
        assert [m.value for m in self.everything(kafka, topic)] == [b"1", b"3"]

    @pytest.mark.parametrize("compression", ["gzip", "zstd", "lz4", "snappy"])
    def test_compressed(
        self, compression: str, broker: Broker, make_topic: Callable[..., str]
    ) -> None:
        """Every compression that the settings offer can be read."""
        topic = make_topic("compressed")
        sent = {"value": b"v" * 10_000}
        records.produce(broker.bootstrap_servers, topic, sent, compression=compression)
        kafka = KafkaSettings(bootstrap_servers=broker.bootstrap_servers)
        assert [m.value for m in self.everything(kafka, topic)] == [b"v" * 10_000]

    def test_by_time(
        self, pipeline: Pipeline, tidemill: Callable[..., str], produce: Callable[..., None]
    ) -> None:
        """`--since` and `--until` are both inclusive."""
        times = (1_700_000_000_000, 1_700_000_060_000, 1_700_000_120_000)
        produce(
            pipeline.dead, *(letter(pipeline.source, i, timestamp=t) for i, t in enumerate(times))
        )
        for arguments, expected in (
            (["--since", "2023-11-14T22:14:20"], [1, 2]),
            (["--until", "2023-11-14T23:14:20+01:00"], [0, 1]),
            (["--since", "1h"], []),
            (["--since", "2023-11-14T22:14:20Z", "--until", "2023-11-14T22:14:20Z"], [1]),
        ):
            lines = tidemill("list", "--json", *arguments).splitlines()
            assert [json.loads(line)["offset"] for line in lines] == expected


class TestDoors:
    """librdkafka reaches the broker's secured listeners with the same settings."""

    @pytest.mark.parametrize("door", ["scram", "oauth", "certificate"])
    def test_round(
        self,
        door: str,
        broker: Broker,
        certificates: Certificates,
        credentials: tuple[str, str],
        make_topic: Callable[..., str],
    ) -> None:
        """A letter is sent and read over each listener."""
        topic = make_topic(door)
        sasl = {"bootstrap_servers": broker.sasl_servers, "security_protocol": "SASL_SSL"}
        with token_endpoint("tidemill", "a secret") as (url, asked_by):
            sections: dict[str, dict[str, Any]] = {
                "scram": {
                    **sasl,
                    "sasl_mechanism": "SCRAM-SHA-512",
                    "sasl_username": credentials[0],
                    "sasl_password": credentials[1],
                },
                "oauth": {
                    **sasl,
                    "sasl_mechanism": "OAUTHBEARER",
                    "oauth_token_url": url,
                    "oauth_client_id": "tidemill",
                    "oauth_client_secret": "a secret",
                },
                "certificate": {
                    "bootstrap_servers": broker.mtls_servers,
                    "security_protocol": "SSL",
                    "ssl_keystore_file": certificates.keystore,
                },
            }
            kafka = KafkaSettings(**sections[door], ssl_ca_file=certificates.ca)
            dead = letter(topic)
            found = read(Message(dead["value"], None, tuple(dead["headers"])))
            assert found is not None
            sender = Sender(kafka)
            sender.send(found)
            assert sender.flush() == {(0, 0): None}
            (came,) = reader.records(kafka, topic, {0: range(1)})
            assert (came.value, came.headers) == (b"value 0", (("tidemill.tries", b"1"),))
            assert len(asked_by) == (2 if door == "oauth" else 0)
        assert Counter(came.headers)["tidemill.tries", b"1"] == 1
