"""What a newcomer gets wrong is said in plain words, with what to do."""

from __future__ import annotations

from pathlib import Path

import pytest

from tidemill import settings
from tidemill.errors import (
    CheckpointInUse,
    ConfigurationError,
    InvalidJson,
    InvalidModels,
    InvalidSettings,
    SettingsFileUnreadable,
)
from tidemill.inference.codec import decode_fields
from tidemill.kafka.topics import Topic
from tidemill.models import catalogue
from tidemill.settings import KafkaSettings, StreamSettings
from tidemill.spark.failures import translate
from tidemill.streaming import preflight

MODELS = Path(__file__).parents[2] / "models.yaml"


class TestSettings:
    """A slip of the pen is named, and what was meant."""

    @pytest.mark.parametrize(
        ("document", "said"),
        [
            ("stream: {input_topcs: [a]}", "did you mean input_topics?"),
            ("straem: {}", "did you mean stream?"),
            ("stream: {input_topics: a}", "stream.input_topics: must be a list, such as [a, b]"),
            ("stream: {zzz: 1}", "stream.zzz: there is no such setting"),
            (
                'tasks: {jobs: {a: "a:B"}}',
                "tasks.jobs.a: must be a mapping, such as {name: value}",
            ),
        ],
    )
    def test_file(self, document: str, said: str, tmp_path: Path) -> None:
        """In the file."""
        file = tmp_path / "c.yaml"
        file.write_text(document)
        with pytest.raises(InvalidSettings) as caught:
            settings.load(file)
        assert said in " ".join([str(caught.value), *caught.value.problems])

    @pytest.mark.parametrize(
        ("variable", "value", "said"),
        [
            ("TIDEMILL__STREAM__INPUT_TOPICS", "a,b", 'write it like \'["a", "b"]\''),
            ("TIDEMILL_KAFKA__BOOTSTRAP_SERVERS", "x:1", "two underscores must follow TIDEMILL"),
        ],
    )
    def test_environment(
        self, variable: str, value: str, said: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """In the environment."""
        monkeypatch.setenv(variable, value)
        with pytest.raises(InvalidSettings) as caught:
            settings.load()
        assert said in " ".join([str(caught.value), *caught.value.problems])

    def test_somebody_elses_variable(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """A variable that only begins alike is left alone."""
        monkeypatch.setenv("TIDEMILL_HOME", "x")
        monkeypatch.setenv("TIDEMILLS__KAFKA__X", "x")
        settings.load()

    def test_missing_file(self, tmp_path: Path) -> None:
        """A file that is not there is named by its whole path, once."""
        for read in (settings.load, catalogue.load_models):
            with pytest.raises(SettingsFileUnreadable) as caught:
                read(tmp_path / "none.yaml")
            assert str(caught.value).count("none.yaml") == 1
            assert str(tmp_path) in str(caught.value)


class TestModels:
    """An entry's mistake is told by its line and in the file's words."""

    @pytest.mark.parametrize(
        ("right", "wrong", "said"),
        [
            (
                'version: "3.8.0"',
                "version: 3.8",
                "line 5: ner-en: version: Expected `int | str`, got `float` (put it in quotes",
            ),
            ("spacy-ner", "spacy_ner.SpacyNer", "your own: package.module:Class"),
        ],
    )
    def test_place(self, right: str, wrong: str, said: str, tmp_path: Path) -> None:
        """The line comes first."""
        file = tmp_path / "models.yaml"
        file.write_text(MODELS.read_text().replace(right, wrong))
        with pytest.raises(InvalidModels) as caught:
            catalogue.load_models(file)
        assert said in " ".join([str(caught.value), *caught.value.problems])


class TestTopics:
    """A missing topic comes with the command that makes it."""

    def test_command(self) -> None:
        """The output gets the input's partitions, and room for what is written to it."""
        topics = {"ner-input": Topic(6)}
        said = list(map(str, preflight.problems(topics, KafkaSettings(), StreamSettings())))
        assert len(said) == 2
        assert said[0].endswith(
            "kafka-topics.sh --bootstrap-server localhost:9092 --create --topic ner-output "
            "--partitions 6 --config max.message.bytes=1114124"
        )


class TestMessages:
    """A dead letter says what was wrong with its message, not with a library."""

    @pytest.mark.parametrize(("value", "said"), [("", "is empty"), ("[" * 99_999, "too deeply")])
    def test_reason(self, value: str, said: str) -> None:
        """Nothing, and too much of it."""
        with pytest.raises(InvalidJson, match=said):
            decode_fields(value)


class TestTwoJobs:
    """Two jobs on one checkpoint are a configuration that no restart mends."""

    @pytest.mark.parametrize(
        "said",
        [
            "[CONCURRENT_STREAM_LOG_UPDATE] Concurrent update to the log.",
            "...FileAlreadyExistsException: Rename destination file:/c/offsets/2 already exists.",
        ],
    )
    def test_named(self, said: str) -> None:
        """It is told by the checkpoint."""
        error = translate(RuntimeError(said), "/data/checkpoints")
        assert isinstance(error, CheckpointInUse)
        assert isinstance(error, ConfigurationError)
