from __future__ import annotations

import builtins
import json
from typing import TYPE_CHECKING, Any

import pytest
from jobs_api import VARIABLES

from deploy.databricks import passed_on
from deploy.databricks.errors import SecretInTheOpen, SettingsWrong
from deploy.databricks.payload import fill_in
from tidemill.settings import Settings
from tidemill.settings.base import Section

if TYPE_CHECKING:
    from collections.abc import Mapping

REFERENCE = "{{secrets/tidemill/password}}"
SECRETS = [f"TIDEMILL__{place.replace('.', '__').upper()}" for place in passed_on.SECRETS]


def environment(variables: Mapping[str, str]) -> dict[str, str]:
    """Return the cluster's environment."""
    (task,) = fill_in(VARIABLES | dict(variables))["tasks"]
    return dict(task["new_cluster"]["spark_env_vars"])


@pytest.fixture(params=["with packages", "without packages"])
def packages(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Run with the project's packages, and without them."""
    real = builtins.__import__

    def bare(name: str, *rest: Any) -> Any:  # noqa: ANN401 - as the import statement does
        if name.partition(".")[0] in {"pydantic", "pydantic_settings", "tidemill"}:
            raise ImportError(name)
        return real(name, *rest)

    if request.param == "without packages":
        monkeypatch.setattr(builtins, "__import__", bare)
    return str(request.param)


class TestSettings:
    """The job's settings are passed on as environment variables, secrets as references."""

    def test_passed_on(self) -> None:
        """All settings are passed on, and no other variables."""
        given = {
            "TIDEMILL__KAFKA__BOOTSTRAP_SERVERS": "k:9092",
            "tidemill__log__format": "json",
            "AWS_SECRET_ACCESS_KEY": "canary",
            "DATABRICKS_API_TOKEN": "canary",
        }
        settings = environment(given)
        assert set(settings) == {
            "PYTHONPATH",
            "TIDEMILL__KAFKA__BOOTSTRAP_SERVERS",
            "tidemill__log__format",
        }
        assert "canary" not in json.dumps(settings)

    def test_all_secrets(self) -> None:
        """The list of secrets matches the settings."""
        assert set(passed_on.SECRETS) == {
            f"{section}.{name}"
            for section, field in Settings.model_fields.items()
            if isinstance(field.annotation, type) and issubclass(field.annotation, Section)
            for name in field.annotation.secrets()
        }

    @pytest.mark.parametrize("name", [*SECRETS, SECRETS[0].lower()])
    @pytest.mark.parametrize("value", ["pa55", "{{secrets/a}}", "x{{secrets/a/b}}", "{{a/b/c}}"])
    def test_open(self, name: str, value: str) -> None:
        """A secret in plain text is refused, and not repeated."""
        with pytest.raises(SecretInTheOpen) as caught:
            environment({name: value})
        assert name in str(caught.value)
        assert value not in str(caught.value)

    @pytest.mark.parametrize(
        ("name", "value"),
        [
            ("TIDEMILL__SPARK", '{"spark.hadoop.fs.s3a.secret.key": "x"}'),
            ("TIDEMILL__SPARK", "{secret: x}"),
            ("TIDEMILL__SPARK", '["a.password"]'),
            ("TIDEMILL__SPARK__spark.hadoop.fs.s3a.secret.key", "x"),
            ("TIDEMILL__KAFKA", '{"sasl_username": "u", "sasl_password": "pa55"}'),
        ],
    )
    def test_inside(self, name: str, value: str) -> None:
        """This applies to a secret within a section's JSON, and to one of Spark's settings."""
        with pytest.raises(SecretInTheOpen):
            environment({name: value})

    @pytest.mark.parametrize(
        ("name", "value"),
        [
            *((name, REFERENCE) for name in SECRETS),
            ("TIDEMILL__SPARK", REFERENCE),
            ("TIDEMILL__SPARK", '{"spark.x": "a.TokenProvider"}'),
            ("TIDEMILL__KAFKA__SASL_USERNAME", REFERENCE),
            ("TIDEMILL__STREAM__STOP_TIMEOUT", REFERENCE),
            ("TIDEMILL__STREAM__INPUT_TOPICS", REFERENCE),
        ],
    )
    def test_reference(self, name: str, value: str) -> None:
        """A reference is passed on unchanged for any setting; a name alone is not a secret."""
        assert environment({name: value})[name] == value


class TestNames:
    """Misspelt names are refused, with or without the project's packages."""

    def test_all(self) -> None:
        """The names read from the source text match the settings."""
        assert passed_on.sections() == {
            section: frozenset(getattr(field.annotation, "model_fields", ()))
            for section, field in Settings.model_fields.items()
        }

    @pytest.mark.parametrize(
        ("name", "value", "said"),
        [
            ("TIDEMILL__STREAM__INPUT_TOPIC", "x", "no setting 'stream.input_topic', did you mean"),
            ("TIDEMILL__STREM__TRIGGER", "x", "no section 'strem', did you mean 'stream'"),
            ("TIDEMILL__KAFKA_BOOTSTRAP_SERVERS", "x", "no section 'kafka_bootstrap_servers'"),
            ("TIDEMILL__STREAM__TRIGGER__X", "x", "no setting 'stream.trigger__x'"),
            ("TIDEMILL__STREAM__", "x", "no setting 'stream.'"),
            ("TIDEMILL__", "x", "no section ''"),
            ("TIDEMILL__MODELS__X", "x", "no setting 'models.x'"),
            ("TIDEMILL__LOG", '{"levle": "INFO"}', "no setting 'log.levle', did you mean 'level'"),
            ("tidemill__log__levle", "INFO", "no setting 'log.levle'"),
            ("TIDEMILL__KAFKA__SASL_PASWORD", REFERENCE, "no setting 'kafka.sasl_pasword'"),
            ("TIDEMILL_STREAM__TRIGGER", "x", "begins with TIDEMILL__"),
            ("TIDEMIL__STREAM__TRIGGER", "x", "begins with TIDEMILL__"),
            ("TIDEMILLL__STREAM__TRIGGER", "x", "begins with TIDEMILL__"),
        ],
    )
    def test_misspelt(self, packages: str, name: str, value: str, said: str) -> None:
        """The error names it, with the nearest name if there is one."""
        with pytest.raises(SettingsWrong, match=said) as caught:
            environment({name: value})
        assert f"{name}: " in str(caught.value)

    def test_together(self, packages: str) -> None:
        """The error names all of them."""
        with pytest.raises(SettingsWrong, match=r"LOGS__X.*STREAM__Y"):
            environment({"TIDEMILL__STREAM__Y": "1", "TIDEMILL__LOGS__X": "1"})

    @pytest.mark.parametrize("name", ["TIDEMILL_PRELOAD", "TIDE_MILL", "TIMES__X", "MILL__X"])
    def test_others(self, name: str) -> None:
        """Variables with a merely similar name are ignored."""
        assert name not in environment({name: "x"})

    @pytest.mark.parametrize(
        ("name", "value"),
        [
            ("TIDEMILL__SPARK", '{"spark.whatever": "1"}'),
            ("TIDEMILL__MODELS", "/models.yaml"),
            ("TIDEMILL__STREAM", '{"trigger": "1 second"}'),
            ("TIDEMILL__STREAM__STARTING_OFFSETS", '{"a": {"0": 1}}'),
            ("TIDEMILL__KAFKA__SASL_PASSWORD_FILE", "/run/secrets/password"),
            ("TIDEMILL__KAFKA__SECURITY_PROTOCOL", "SASL_SSL"),
            ("TIDEMILL__MONITORING__PUSHGATEWAY_USERNAME", "u"),
        ],
    )
    def test_right(self, packages: str, name: str, value: str) -> None:
        """A valid setting passes, even if related settings are only in the image's file."""
        assert environment({name: value})[name] == value


class TestValues:
    """If the packages are installed, an invalid value is an error."""

    @pytest.mark.parametrize(
        ("name", "value"),
        [
            ("TIDEMILL__STREAM__MAX_OFFSETS_PER_TRIGGER", "many"),
            ("TIDEMILL__STREAM__TRIGGER", "often"),
            ("TIDEMILL__STREAM__INPUT_TOPICS", "reviews"),
            ("TIDEMILL__STREAM__INPUT_TOPICS", '["a b"]'),
            ("TIDEMILL__STREAM__DELIVERY", "exactly_once"),
            ("TIDEMILL__LOG__LEVEL", "info"),
            ("TIDEMILL__STREAM__STOP_TIMEOUT", "soon"),
            ("TIDEMILL__LOG", "json"),
        ],
    )
    def test_wrong(self, name: str, value: str) -> None:
        """The error names the variable."""
        with pytest.raises(SettingsWrong, match=f"{name}: "):
            environment({name: value})
