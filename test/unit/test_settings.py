from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from app import settings
from app.errors import ConfigurationError, InvalidSettings, SettingsFileUnreadable

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Load = Callable[..., settings.Settings]


@pytest.fixture(autouse=True)
def _empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Start where there is no config.yaml."""
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def load(tmp_path: Path) -> Load:
    """Load settings from a document: `load(stream={"group_id": "g"})`."""

    def from_document(**document: Any) -> settings.Settings:  # noqa: ANN401 - any YAML
        path = tmp_path / "file.yaml"
        path.write_text(yaml.safe_dump(document), "utf-8")
        return settings.load(path)

    return from_document


class TestSources:
    """Defaults, then the file, then the environment."""

    def test_defaults(self) -> None:
        """Without a file and variables the job runs on a local broker."""
        loaded = settings.load()
        assert loaded.kafka.bootstrap_servers == "localhost:9092"
        assert loaded.stream.input_topics == ["ner-input"]
        assert loaded.stream.dead_letter_topic == "ner-output.dlq"
        assert loaded.stream.fail_on_data_loss is True

    def test_file_of_the_folder(self, tmp_path: Path) -> None:
        """A config.yaml in the working folder is read unasked."""
        (tmp_path / "config.yaml").write_text("stream: {group_id: from-file}", "utf-8")
        assert settings.load().stream.group_id == "from-file"

    def test_environment_wins(self, load: Load, monkeypatch: pytest.MonkeyPatch) -> None:
        """A variable replaces its own setting only."""
        monkeypatch.setenv("TIDEMILL__KAFKA__BOOTSTRAP_SERVERS", "b:1")
        monkeypatch.setenv("tidemill__stream__max_offsets_per_trigger", "7")
        loaded = load(
            kafka={"bootstrap_servers": "a:1", "isolation_level": "read_uncommitted"},
            stream={"max_offsets_per_trigger": 5, "group_id": "g"},
        )
        assert loaded.kafka.bootstrap_servers == "b:1"
        assert loaded.kafka.isolation_level == "read_uncommitted"
        assert loaded.stream.max_offsets_per_trigger == 7
        assert loaded.stream.group_id == "g"

    def test_lists_as_json(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Lists and mappings in variables are JSON."""
        monkeypatch.setenv("TIDEMILL__STREAM__INPUT_TOPICS", '["a","b"]')
        monkeypatch.setenv("TIDEMILL__SPARK", '{"spark.ui.enabled": "false"}')
        assert settings.load().stream.input_topics == ["a", "b"]
        assert settings.load().spark == {"spark.ui.enabled": "false"}

    def test_frozen(self) -> None:
        """Settings do not change."""
        with pytest.raises(ValueError, match="frozen"):
            settings.load().stream.group_id = "other"  # type: ignore[misc]

    @pytest.mark.parametrize("content", ["", "# nothing\n", "---\n"])
    def test_empty_file(self, tmp_path: Path, content: str) -> None:
        """An empty file leaves all defaults."""
        (tmp_path / "config.yaml").write_text(content, "utf-8")
        assert settings.load().stream == settings.StreamSettings()


class TestModelsPath:
    """A relative path of the models' file starts at the settings file."""

    def test_beside_the_file(self, tmp_path: Path) -> None:
        """Whatever the working folder is."""
        folder = tmp_path / "etc"
        folder.mkdir()
        (folder / "c.yaml").write_text("models: m.yaml", "utf-8")
        assert settings.load(folder / "c.yaml").models == folder / "m.yaml"

    def test_absolute(self, load: Load, tmp_path: Path) -> None:
        """An absolute path stays as it is."""
        assert load(models=str(tmp_path / "x" / "m.yaml")).models == tmp_path / "x" / "m.yaml"


class TestUnreadableFile:
    """A file that cannot be read is named."""

    def test_missing(self, tmp_path: Path) -> None:
        """One that was asked for must be there."""
        with pytest.raises(SettingsFileUnreadable, match="none.yaml"):
            settings.load(tmp_path / "none.yaml")

    @pytest.mark.parametrize("content", [b"a: [", b"a: b: c", b"\xff\xfe\xfa", b"- a", b"text"])
    def test_no_mapping(self, tmp_path: Path, content: bytes) -> None:
        """It must be YAML and a mapping."""
        (tmp_path / "bad.yaml").write_bytes(content)
        with pytest.raises(SettingsFileUnreadable, match="bad.yaml"):
            settings.load(tmp_path / "bad.yaml")


class TestUnknownKeys:
    """A key that no setting has is an error that names it."""

    @pytest.mark.parametrize(
        ("document", "named"),
        [
            ({"kafak": {}}, "kafak"),
            ({"kafka": {"bootstrap_server": "a:1"}}, "kafka.bootstrap_server"),
            ({"stream": {"Group_id": "g"}}, "stream.Group_id"),
            ({"log": {"colour": True}}, "log.colour"),
            ({"_env_prefix": "X_"}, "_env_prefix"),
            ({"_cli_parse_args": True}, "_cli_parse_args"),
            ({True: "on"}, "True"),
            ({"kafka": {1: 2}}, "kafka"),
        ],
    )
    def test_in_the_file(self, tmp_path: Path, document: dict[Any, Any], named: str) -> None:
        """Wherever it stands, and whatever it is."""
        path = tmp_path / "file.yaml"
        path.write_text(yaml.safe_dump(document), "utf-8")
        with pytest.raises(ConfigurationError, match=named):
            settings.load(path)

    @pytest.mark.parametrize(
        ("variable", "named"),
        [
            ("TIDEMILL__KAFAK__BOOTSTRAP_SERVERS", "TIDEMILL__KAFAK__BOOTSTRAP_SERVERS"),
            ("TIDEMILL__KAFKA__BOOTSTRAP_SERVER", "kafka.bootstrap_server"),
            ("TIDEMILL__STREAM", "stream.surplus"),
        ],
    )
    def test_in_the_environment(
        self, monkeypatch: pytest.MonkeyPatch, variable: str, named: str
    ) -> None:
        """A variable is named as it must be looked for."""
        monkeypatch.setenv(variable, '{"surplus": 1}')
        with pytest.raises(InvalidSettings, match=named):
            settings.load()

    def test_of_others(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Variables with another prefix are none of ours."""
        monkeypatch.setenv("TIDEMILL_HOME", "x")
        monkeypatch.setenv("KAFKA__NOPE", "x")
        settings.load()


class TestWrongValues:
    """A wrong value is an error that names its setting."""

    @pytest.mark.parametrize(
        ("section", "name", "value"),
        [
            ("kafka", "bootstrap_servers", ""),
            ("kafka", "security_protocol", "TLS"),
            ("kafka", "max_request_size", 1000),
            ("kafka", "max_request_size", "many"),
            ("kafka", "ssl_ca_file", "none.pem"),
            ("kafka", "sasl_password_file", 5),
            ("stream", "input_topics", "ner-input"),
            ("stream", "input_topics", []),
            ("stream", "input_topics", ["a b"]),
            ("stream", "input_topics", [""]),
            ("stream", "output_topic", "x" * 250),
            ("stream", "output_topic", ".."),
            ("stream", "output_topic", "ë"),
            ("stream", "dead_letter_topic", None),
            ("stream", "input_pattern", "ner-(.*"),
            ("stream", "group_id", ""),
            ("stream", "delivery", "exactly-one"),
            ("stream", "max_offsets_per_trigger", 0),
            ("stream", "parallelism", 0),
            ("stream", "fail_on_data_loss", "perhaps"),
            ("stream", "stop_timeout", -1),
            ("stream", "udf_idle_timeout", -1),
            ("log", "format", "xml"),
            ("log", "level", "info"),
        ],
    )
    def test_named(self, load: Load, section: str, name: str, value: object) -> None:
        """With its section, and the file that it is in."""
        with pytest.raises(InvalidSettings, match=rf"file\.yaml.*{section}.*{name}"):
            load(**{section: {name: value}})

    @pytest.mark.parametrize("value", [5, True, "text", ["a"], None])
    def test_section_of_another_type(self, load: Load, value: object) -> None:
        """A section that is no mapping is named."""
        with pytest.raises(InvalidSettings, match="kafka"):
            load(kafka=value)

    def test_all_at_once(self, load: Load) -> None:
        """Every wrong setting is named, not only the first."""
        with pytest.raises(InvalidSettings) as caught:
            load(stream={"group_id": "", "parallelism": 0}, log={"level": "LOUD"}, more=1)
        for name in ("stream.group_id", "stream.parallelism", "log.level", "more"):
            assert name in str(caught.value)

    def test_variable_that_is_no_json(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """A list that is not written as JSON is named."""
        monkeypatch.setenv("TIDEMILL__STREAM__INPUT_TOPICS", "a,b")
        with pytest.raises(InvalidSettings, match="(?i)stream"):
            settings.load()


class TestTrigger:
    """How often a micro-batch starts."""

    @pytest.mark.parametrize(
        "trigger", ["0 seconds", "available-now", "1 second", "10 minutes", "250 milliseconds"]
    )
    def test_taken(self, load: Load, trigger: str) -> None:
        """An interval in words, or once over all that is there."""
        assert load(stream={"trigger": trigger}).stream.trigger == trigger

    @pytest.mark.parametrize(
        "trigger", ["", "1", "5s", "-1 seconds", "1.5 seconds", "once", "0 seconds\n", 5, None]
    )
    def test_refused(self, load: Load, trigger: object) -> None:
        """Anything else is named."""
        with pytest.raises(InvalidSettings, match="stream.trigger"):
            load(stream={"trigger": trigger})


class TestStartingOffsets:
    """Where a first run starts."""

    @pytest.mark.parametrize("offsets", ["earliest", "latest"])
    def test_words(self, load: Load, offsets: str) -> None:
        """The two words stay as they are."""
        assert load(stream={"starting_offsets": offsets}).stream.starting_offsets == offsets

    @pytest.mark.parametrize("offsets", [{"t": {0: 42, 1: -2}}, '{"t": {"0": 42, "1": -2}}'])
    def test_by_partition(self, load: Load, offsets: object) -> None:
        """A mapping, or its JSON, becomes the JSON that Spark reads."""
        loaded = load(stream={"starting_offsets": offsets}).stream.starting_offsets
        assert json.loads(loaded) == {"t": {"0": 42, "1": -2}}

    def test_in_the_environment(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """The same in a variable."""
        monkeypatch.setenv("TIDEMILL__STREAM__STARTING_OFFSETS", '{"t":{"0":42}}')
        assert json.loads(settings.load().stream.starting_offsets) == {"t": {"0": 42}}

    @pytest.mark.parametrize(
        "offsets",
        [
            "newest", "", 5, None, [], "[]", {"t": 5}, {"t": {"zero": 1}}, {"t": {"0": None}},
            '{"t": {"0": 1e999}}', {"t": {"0": 1.5}},
        ],
    )  # fmt: skip
    def test_refused(self, load: Load, offsets: object) -> None:
        """Anything else is named; nothing is rounded."""
        with pytest.raises(InvalidSettings, match="stream.starting_offsets"):
            load(stream={"starting_offsets": offsets})


class TestTopics:
    """Topics that would mix what comes in with what goes out are refused."""

    def test_dead_letters_follow(self, load: Load) -> None:
        """The dead-letter topic is named after the output topic."""
        assert load(stream={"output_topic": "out"}).stream.dead_letter_topic == "out.dlq"

    def test_dead_letters_follow_a_variable(
        self, load: Load, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """So it is where the environment names the output topic."""
        monkeypatch.setenv("TIDEMILL__STREAM__OUTPUT_TOPIC", "out")
        assert load(stream={"group_id": "g"}).stream.dead_letter_topic == "out.dlq"

    def test_dead_letters_named(self, load: Load) -> None:
        """A name of its own stays."""
        stream = load(stream={"output_topic": "out", "dead_letter_topic": "dead"}).stream
        assert stream.dead_letter_topic == "dead"

    @pytest.mark.parametrize("loop", ["out", "out.dlq"])
    def test_loop(self, load: Load, loop: str) -> None:
        """A topic that is read may not be written."""
        with pytest.raises(InvalidSettings, match=f"'{loop}'.*endless loop"):
            load(stream={"input_topics": ["in", loop], "output_topic": "out"})

    def test_same(self, load: Load) -> None:
        """Results and dead letters go to two topics."""
        with pytest.raises(InvalidSettings, match="the same"):
            load(stream={"output_topic": "out", "dead_letter_topic": "out"})

    def test_longest_name(self, load: Load) -> None:
        """The longest name that Kafka takes is taken."""
        assert load(stream={"input_topics": ["x" * 249]}).stream.input_topics == ["x" * 249]


class TestSecurity:
    """What a protocol needs must be there, and nothing that contradicts it."""

    @pytest.mark.parametrize(
        ("kafka", "needed"),
        [
            ({"security_protocol": "SASL_SSL"}, "sasl_mechanism"),
            ({"security_protocol": "SASL_SSL", "sasl_mechanism": "PLAIN"}, "sasl_username"),
            (
                {"security_protocol": "SASL_PLAINTEXT", "sasl_mechanism": "SCRAM-SHA-512",
                 "sasl_username": "u"},
                "sasl_password",
            ),
            ({"security_protocol": "SASL_SSL", "sasl_mechanism": "OAUTHBEARER"}, "oauth_token_url"),
        ],
    )  # fmt: skip
    def test_needed(self, load: Load, kafka: dict[str, str], needed: str) -> None:
        """What is missing is named."""
        with pytest.raises(InvalidSettings, match=f"needs .*{needed}"):
            load(kafka=kafka)

    @pytest.mark.parametrize("protocol", ["PLAINTEXT", "SSL"])
    def test_contradiction(self, load: Load, protocol: str) -> None:
        """A mechanism that would silently not be used is refused."""
        with pytest.raises(InvalidSettings, match=f"security_protocol is {protocol}"):
            load(kafka={"security_protocol": protocol, "sasl_mechanism": "PLAIN"})
