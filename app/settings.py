"""Every setting in one validated object: defaults, then a YAML file, then the environment.

An environment variable is `TIDEMILL__SECTION__NAME`, lists and mappings as JSON. A key that no
setting has is an error that names it. Secrets come from the environment or from files that a
`*_file` setting names, never from the YAML file, and never appear in a message.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import yaml
from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from app.errors import InvalidSettings, SettingsFileUnreadable

PREFIX = "TIDEMILL__"
TRIGGER = r"^(available-now|\d+ (milliseconds?|seconds?|minutes?|hours?))$"


def _topic(name: str) -> str:
    legal = len(name) <= 249 and name not in {".", ".."}  # noqa: PLR2004 - Kafka's own limit
    if not (legal and name and all(c.isascii() and (c.isalnum() or c in "._-") for c in name)):
        raise ValueError(f"{name!r} is no topic name: letters, digits, '.', '_', '-', at most 249")
    return name


Topic = Annotated[str, AfterValidator(_topic)]


class Section(BaseModel):
    """A part of the settings: frozen, no unknown keys, no value in an error message."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


class KafkaSettings(Section):
    """How to reach Kafka; feeds Spark's connector and kafka-python alike.

    Attributes:
        ssl_ca_file: PEM file with the authorities to trust; without it the system's.
        ssl_keystore_file: PEM file with the client's private key (PKCS#8) and its certificates.
        max_request_size: The producer's limit in bytes: 64 KiB more than the largest input.
        compression_type: How results and dead letters are compressed; gzip, which every client
            reads without a further package.

    """

    bootstrap_servers: str = Field("localhost:9092", min_length=1)
    security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = "PLAINTEXT"
    isolation_level: Literal["read_committed", "read_uncommitted"] = "read_committed"
    max_request_size: int = Field(1_048_588 + 65_536, ge=65_536 + 1024)
    compression_type: Literal["gzip", "zstd", "lz4", "snappy", "none"] = "gzip"
    ssl_ca_file: Path | None = None
    ssl_keystore_file: Path | None = None
    ssl_key_password: SecretStr | None = None
    ssl_key_password_file: Path | None = None
    sasl_mechanism: (
        Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", "OAUTHBEARER"] | None
    ) = None
    sasl_username: str | None = None
    sasl_password: SecretStr | None = None
    sasl_password_file: Path | None = None
    oauth_token_url: str | None = None
    oauth_client_id: str | None = None
    oauth_client_secret: SecretStr | None = None
    oauth_client_secret_file: Path | None = None
    oauth_scope: str | None = None

    @model_validator(mode="before")
    @classmethod
    def _read_secret_files(cls, data: Any) -> Any:  # noqa: ANN401 - pydantic's hook
        for name in ("ssl_key_password", "sasl_password", "oauth_client_secret"):
            if isinstance(data, dict) and (path := data.get(f"{name}_file")):
                if data.get(name):
                    raise ValueError(f"{name} and {name}_file are both set: keep one")
                try:
                    data = {**data, name: Path(path).read_text(encoding="utf-8").rstrip("\r\n")}
                except (OSError, ValueError) as error:
                    raise ValueError(f"{name}_file: {error}") from None
        return data

    @model_validator(mode="after")
    def _complete(self) -> Self:
        needs: dict[str, object] = {}
        if self.security_protocol.startswith("SASL"):
            needs["sasl_mechanism"] = self.sasl_mechanism
            if self.sasl_mechanism == "OAUTHBEARER":
                needs["oauth_token_url"] = self.oauth_token_url
                needs["oauth_client_id"] = self.oauth_client_id
                needs["oauth_client_secret (or its _file)"] = self.oauth_client_secret
            elif self.sasl_mechanism:
                needs["sasl_username"] = self.sasl_username
                needs["sasl_password (or its _file)"] = self.sasl_password
        elif self.sasl_mechanism:
            raise ValueError(
                f"sasl_mechanism is set, yet security_protocol is {self.security_protocol}: "
                "use SASL_SSL"
            )
        if missing := [name for name, value in needs.items() if not value]:
            raise ValueError(f"security_protocol {self.security_protocol} needs {missing}")
        for name in ("ssl_ca_file", "ssl_keystore_file"):
            path = getattr(self, name)
            if path and not path.is_file():
                raise ValueError(f"{name}: there is no file {path}")
        return self


class StreamSettings(Section):
    """The streaming job.

    Attributes:
        input_topics: Topics to read; or `input_pattern`, a Java regular expression of their names.
        parallelism: Tasks for a micro-batch where that is more than the partitions: splits
            partitions, so that order per key is given up. None: a task for each partition.
        arrow_batch_size: The most messages that a worker takes at a time.
        worker_threads: Threads of the numeric libraries in each Python worker.
        udf_idle_timeout: Seconds after which a worker that gives nothing back is taken for hung,
            ended, and its task tried again; more than the slowest batch takes. 0: never.
        stop_timeout: Seconds that a stop waits for the running micro-batch.

    """

    input_topics: list[Topic] = ["ner-input"]
    input_pattern: str | None = None
    output_topic: Topic = "ner-output"
    dead_letter_topic: Topic = "ner-output.dlq"
    group_id: str = Field("tidemill", min_length=1)
    checkpoint_location: str = Field(".tidemill/checkpoints", min_length=1)
    starting_offsets: str = "earliest"
    trigger: str = Field("0 seconds", pattern=TRIGGER)
    delivery: Literal["at-least-once"] = "at-least-once"
    max_offsets_per_trigger: int = Field(20_000, ge=1)
    parallelism: int | None = Field(None, ge=1)
    fail_on_data_loss: bool = True
    arrow_batch_size: int = Field(256, ge=1)
    worker_threads: int = Field(1, ge=1)
    udf_idle_timeout: int = Field(600, ge=0)
    stop_timeout: float = Field(60, ge=0)

    @model_validator(mode="before")
    @classmethod
    def _dead_letters_follow(cls, data: Any) -> Any:  # noqa: ANN401 - pydantic's hook
        """Name the dead-letter topic after the output topic where only that one is given."""
        if isinstance(data, dict) and "output_topic" in data:
            return {"dead_letter_topic": f"{data['output_topic']}.dlq", **data}
        return data

    @model_validator(mode="after")
    def _sound(self) -> Self:
        if self.input_pattern is None and not self.input_topics:
            raise ValueError("input_topics is empty and there is no input_pattern")
        own = [self.output_topic, self.dead_letter_topic]
        if len(set(own)) != len(own):
            raise ValueError("output_topic and dead_letter_topic are the same")
        if self.input_pattern is None and (loop := set(own) & set(self.input_topics)):
            raise ValueError(f"{sorted(loop)} would be read and written: an endless loop")
        return self

    @field_validator("starting_offsets", mode="before")
    @classmethod
    def _offsets(cls, value: Any) -> Any:  # noqa: ANN401 - pydantic's hook
        """Accept earliest, latest, or offsets as a mapping or JSON: {"topic": {"0": 42}}."""
        if value in ("earliest", "latest"):
            return value
        try:
            offsets = json.loads(value) if isinstance(value, str) else value
            return json.dumps(
                {
                    topic: {str(int(p)): int(offset) for p, offset in partitions.items()}
                    for topic, partitions in offsets.items()
                }
            )
        except (ValueError, TypeError, AttributeError):
            raise ValueError(
                'must be earliest, latest, or offsets such as {"topic": {"0": 42}}'
            ) from None


class LogSettings(Section):
    """How to log: for a person or for a machine."""

    format: Literal["console", "json"] = "console"
    level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"


class Settings(BaseSettings):
    """All settings.

    Attributes:
        models: The models' file; a relative path starts at the settings file's folder.
        spark: Further Spark settings by their own names; they win over the job's own.

    """

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        env_nested_delimiter="__",
        extra="forbid",
        frozen=True,
        hide_input_in_errors=True,
    )

    kafka: KafkaSettings = KafkaSettings()
    stream: StreamSettings = StreamSettings()
    models: Path = Path("models.yaml")
    log: LogSettings = LogSettings()
    spark: dict[str, str] = {}

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Let the environment win over the file, whose content comes as keywords."""
        return env_settings, init_settings


def load(path: Path | None = None) -> Settings:
    """Return the settings of a YAML file and the environment.

    Without a path, `config.yaml` of the working folder is read where there is one.

    Raises:
        SettingsFileUnreadable: The file is missing or no YAML mapping.
        InvalidSettings: A key is unknown or a value wrong; the message names each.

    """
    if path is None and Path("config.yaml").is_file():
        path = Path("config.yaml")
    document = _document(path) if path else {}
    source = f"{path} and environment" if path else "environment"
    try:
        _refuse_unknown_variables()
        settings = Settings(**document)
    except ValidationError as error:
        raise InvalidSettings(source, (_problem(e) for e in error.errors())) from None
    except ValueError as error:  # pydantic-settings: a variable that should be JSON and is not
        raise InvalidSettings(source, [str(error)]) from None
    base = path.parent if path else Path()
    return settings.model_copy(update={"models": base / settings.models})


def _document(path: Path) -> dict[str, Any]:
    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise SettingsFileUnreadable(path, error) from None
    if document is None:
        return {}
    if not isinstance(document, dict):
        raise SettingsFileUnreadable(path, "it must be a mapping of sections")
    kafka = document.get("kafka")
    for name, field in KafkaSettings.model_fields.items():
        if SecretStr in getattr(field.annotation, "__args__", ()) and name in (kafka or {}):
            variable = f"{PREFIX}KAFKA__{name.upper()}"
            raise InvalidSettings(
                str(path), [f"kafka.{name} is a secret: set {variable} or kafka.{name}_file"]
            )
    return document


def _refuse_unknown_variables() -> None:
    """Name what pydantic-settings passes over: a variable whose section does not exist."""
    for variable in os.environ:
        if variable.upper().startswith(PREFIX):
            section = variable[len(PREFIX) :].split("__")[0].lower()
            if section not in Settings.model_fields:
                raise ValueError(f"{variable}: there is no section {section!r}")


def _problem(error: Any) -> str:  # noqa: ANN401 - pydantic's ErrorDetails, a TypedDict
    where = ".".join(str(part) for part in error["loc"])
    if error["type"] == "extra_forbidden":
        return f"{where}: there is no such setting"
    return f"{where}: {error['msg'].removeprefix('Value error, ')}"
