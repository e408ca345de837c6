from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import yaml

from tidemill import settings
from tidemill.errors import ConfigurationError, InvalidSettings, SettingsFileUnreadable
from tidemill.settings import Program, TopicsProgram

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Load = Callable[..., settings.Settings]


class TestSources:
    """The file overrides the defaults, and the environment overrides the file."""

    def test_defaults(self) -> None:
        """Without a file and variables, the job uses a local broker."""
        loaded = settings.load()
        assert loaded.kafka.bootstrap_servers == "localhost:9092"
        assert loaded.stream.input_topics == ("ner-input",)
        assert loaded.stream.dead_letter_topic == "ner-output.dlq"
        assert loaded.stream.fail_on_data_loss is True

    def test_file_of_the_folder(self, tmp_path: Path) -> None:
        """A config.yaml in the working folder is read by default."""
        (tmp_path / "config.yaml").write_text("stream: {group_id: from-file}", "utf-8")
        assert settings.load().stream.group_id == "from-file"

    def test_null(self, load: Load, monkeypatch: pytest.MonkeyPatch) -> None:
        """The environment can set null."""
        monkeypatch.setenv("TIDEMILL__MONITORING__METRICS_PORT", "null")
        assert load().monitoring.metrics_port is None

    def test_environment_wins(self, load: Load, monkeypatch: pytest.MonkeyPatch) -> None:
        """A variable overrides only its own setting."""
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
        """Variables hold lists and mappings as JSON."""
        monkeypatch.setenv("TIDEMILL__STREAM__INPUT_TOPICS", '["a","b"]')
        monkeypatch.setenv("TIDEMILL__SPARK", '{"spark.ui.enabled": "false"}')
        assert settings.load().stream.input_topics == ("a", "b")
        assert settings.load().spark == {"spark.ui.enabled": "false"}

    def test_frozen(self) -> None:
        """Settings are immutable."""
        with pytest.raises(ValueError, match="frozen"):
            settings.load().stream.group_id = "other"  # type: ignore[misc]

    @pytest.mark.parametrize("content", ["", "# nothing\n", "---\n"])
    def test_empty_file(self, tmp_path: Path, content: str) -> None:
        """With an empty file, all defaults apply."""
        (tmp_path / "config.yaml").write_text(content, "utf-8")
        assert settings.load().stream == settings.StreamSettings()


class TestSparkValues:
    """Spark's settings are text, but YAML need not quote them."""

    @pytest.mark.parametrize(
        ("value", "text"),
        [
            (True, "true"),
            (False, "false"),
            (2, "2"),
            (0, "0"),
            (0.75, "0.75"),
            ("2g", "2g"),
            ("True", "True"),
            ("", ""),
        ],
    )
    def test_written(self, load: Load, value: object, text: str) -> None:
        """Numbers and booleans become Spark's text; text is unchanged."""
        assert load(spark={"spark.x": value}).spark == {"spark.x": text}

    def test_in_the_environment(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """The same applies to a variable."""
        monkeypatch.setenv("TIDEMILL__SPARK", '{"spark.ui.enabled": false, "spark.n": 4}')
        assert settings.load().spark == {"spark.ui.enabled": "false", "spark.n": "4"}

    @pytest.mark.parametrize("value", [None, ["a"], {"b": 1}])
    def test_refused(self, load: Load, value: object) -> None:
        """Any other type is an error that names the setting."""
        with pytest.raises(InvalidSettings, match=r"spark\.spark\.x"):
            load(spark={"spark.x": value})


class TestModelsPath:
    """A relative path of the models file starts at the settings file."""

    def test_beside_the_file(self, tmp_path: Path) -> None:
        """The working folder does not matter."""
        folder = tmp_path / "etc"
        folder.mkdir()
        (folder / "c.yaml").write_text("models: m.yaml", "utf-8")
        assert settings.load(folder / "c.yaml").models == folder / "m.yaml"

    def test_absolute(self, load: Load, tmp_path: Path) -> None:
        """An absolute path is unchanged."""
        assert load(models=str(tmp_path / "x" / "m.yaml")).models == tmp_path / "x" / "m.yaml"


class TestUnreadableFile:
    """An unreadable file is an error that names it."""

    def test_missing(self, tmp_path: Path) -> None:
        """A file that was asked for must exist."""
        with pytest.raises(SettingsFileUnreadable, match=r"none\.yaml"):
            settings.load(tmp_path / "none.yaml")

    @pytest.mark.parametrize("content", [b"a: [", b"a: b: c", b"\xff\xfe\xfa", b"- a", b"text"])
    def test_no_mapping(self, tmp_path: Path, content: bytes) -> None:
        """The file must be YAML, and a mapping."""
        (tmp_path / "bad.yaml").write_bytes(content)
        with pytest.raises(SettingsFileUnreadable, match=r"bad\.yaml"):
            settings.load(tmp_path / "bad.yaml")


class TestUnknownKeys:
    """An unknown key is an error that names it."""

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
        """This applies at any place, and to any kind of key."""
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
        """The error names the variable itself."""
        monkeypatch.setenv(variable, '{"surplus": 1}')
        with pytest.raises(InvalidSettings, match=named):
            settings.load()

    def test_of_others(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Variables with another prefix are ignored."""
        monkeypatch.setenv("TIDEMILL_HOME", "x")
        monkeypatch.setenv("KAFKA__NOPE", "x")
        settings.load()


class TestWrongValues:
    """An invalid value is an error that names its setting."""

    @pytest.mark.parametrize(
        ("section", "name", "value"),
        [
            ("kafka", "bootstrap_servers", ""),
            ("kafka", "security_protocol", "TLS"),
            ("kafka", "compression_type", 1000),
            ("kafka", "compression_type", "uncompressed"),
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
            ("stream", "input_pattern", ""),
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
        """The error names the section and the file."""
        with pytest.raises(InvalidSettings, match=rf"(?s){section}.*{name}.*file\.yaml"):
            load(**{section: {name: value}})

    @pytest.mark.parametrize("value", [5, True, "text", ["a"], None])
    def test_section_of_another_type(self, load: Load, value: object) -> None:
        """A section that is not a mapping is an error that names it."""
        with pytest.raises(InvalidSettings, match="kafka"):
            load(kafka=value)

    def test_all_at_once(self, load: Load) -> None:
        """The error names every invalid setting, not only the first."""
        with pytest.raises(InvalidSettings) as caught:
            load(stream={"group_id": "", "parallelism": 0}, log={"level": "LOUD"}, more=1)
        names = "stream.group_id", "stream.parallelism", "log.level", "more"
        problems = {problem.partition(":")[0] for problem in caught.value.problems}
        assert problems == set(names)

    @pytest.mark.parametrize(
        ("variable", "value"),
        [
            ("TIDEMILL__STREAM__INPUT_TOPICS", "a,secret"),
            ("tidemill__stream__input_topics", "[a, secret]"),
            ("TIDEMILL__SPARK", "spark.x=secret"),
            ("TIDEMILL__KAFKA", '{"sasl_password": "secret"'),
            ("TIDEMILL__MONITORING", ""),
            ("TIDEMILL__LOG", "secret"),
        ],
    )
    def test_variable_that_is_no_json(
        self, monkeypatch: pytest.MonkeyPatch, variable: str, value: str
    ) -> None:
        """The error names the variable and shows the form, but not the value."""
        monkeypatch.setenv(variable, value)
        monkeypatch.setenv("TIDEMILL__MODELS", "models.yaml")
        monkeypatch.setenv("TIDEMILL__STREAM__GROUP_ID", "no JSON either")
        with pytest.raises(InvalidSettings) as caught:
            settings.load()
        said = str(caught.value)
        assert said.startswith(f"settings: {variable} is not JSON: ")
        assert "write it like" in said
        assert "secret" not in said
        assert ";" not in said

    def test_all_variables_at_once(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """The error names every variable that is not JSON."""
        for variable in ("TIDEMILL__SPARK", "TIDEMILL__STREAM__INPUT_TOPICS"):
            monkeypatch.setenv(variable, "x")
        with pytest.raises(InvalidSettings) as caught:
            settings.load()
        variables = {problem.split()[0] for problem in caught.value.problems}
        assert variables == {"TIDEMILL__SPARK", "TIDEMILL__STREAM__INPUT_TOPICS"}


class TestProgram:
    """A program reads only the settings that it needs."""

    @pytest.mark.parametrize("program", [Program, TopicsProgram, settings.Settings])
    def test_sections_of_others(self, program: type[Program], tmp_path: Path) -> None:
        """A mistake in a section of others is no error; one in a section of its own is."""
        file = tmp_path / "c.yaml"
        for section in settings.Settings.model_fields.keys() - {"models"}:
            file.write_text(f"{section}: 7")
            if section in program.model_fields:
                with pytest.raises(InvalidSettings, match=section):
                    settings.load_program(program, file)
            else:
                settings.load_program(program, file)

    @pytest.mark.parametrize("program", [Program, TopicsProgram])
    def test_variables_of_others(
        self, program: type[Program], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The same holds for the environment."""
        monkeypatch.setenv("TIDEMILL__MONITORING__METRICS_PORT", "many")
        monkeypatch.setenv("TIDEMILL__SPARK", "no JSON")
        settings.load_program(program)
        monkeypatch.setenv("TIDEMILL__LOG__LEVEL", "LOUD")
        with pytest.raises(InvalidSettings, match="level"):
            settings.load_program(program)

    def test_unknown_section(self, tmp_path: Path) -> None:
        """A section that no program has is an error for each."""
        file = tmp_path / "c.yaml"
        file.write_text("strem: {}")
        with pytest.raises(InvalidSettings, match="strem"):
            settings.load_program(Program, file)
