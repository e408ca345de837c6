"""All sections in one object."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, model_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from tidemill.errors import SpeculationEnabled
from tidemill.settings.base import Section
from tidemill.settings.kafka import KafkaSettings
from tidemill.settings.monitoring import MonitoringSettings
from tidemill.settings.pool import PoolSettings
from tidemill.settings.serving import ServingSettings
from tidemill.settings.store import StoreSettings
from tidemill.settings.stream import StreamSettings
from tidemill.settings.tasks import TasksSettings

PREFIX = "TIDEMILL__"


class LogSettings(Section):
    """The log.

    Attributes:
        format: `console` for people, `json` for programs.
        level: The lowest level to log; `DEBUG` adds the tracebacks of errors.

    """

    format: Literal["console", "json"] = "console"
    level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"


def _spark_value(value: Any) -> Any:  # noqa: ANN401 - what a document may hold
    """Convert numbers and booleans to Spark's text."""
    if isinstance(value, bool):
        return str(value).lower()
    return str(value) if isinstance(value, int | float) else value


class Program(BaseSettings):
    """The settings that every program reads; a program that needs more is a subclass.

    Attributes:
        models: The models file. A relative path is relative to the settings file's folder. A server
            of tables or jobs needs none.

    """

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        env_nested_delimiter="__",
        extra="forbid",
        frozen=True,
        hide_input_in_errors=True,
    )

    models: Path = Path("models.yaml")
    log: LogSettings = LogSettings()

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Let the environment override the file, whose content is passed as keyword arguments."""
        return env_settings, init_settings


class TopicsProgram(Program):
    """The settings of a program that reads the job's topics and its consumer group."""

    kafka: KafkaSettings = KafkaSettings()
    stream: StreamSettings = StreamSettings()


class StoreProgram(Program):
    """The settings of a program that reads or writes the store."""

    store: StoreSettings = StoreSettings()


class FollowProgram(StoreProgram):
    """The settings of a program that writes a topic into the store."""

    kafka: KafkaSettings = KafkaSettings()


class ExplainProgram(TopicsProgram):
    """The settings of a program that follows one message through the job."""

    store: StoreSettings = StoreSettings()


class TasksProgram(StoreProgram):
    """The settings of a program that submits or runs long tasks."""

    kafka: KafkaSettings = KafkaSettings()
    tasks: TasksSettings = TasksSettings()


class ServeProgram(TasksProgram):
    """The settings of the server."""

    pool: PoolSettings = PoolSettings()
    serving: ServingSettings = ServingSettings()


class Settings(TopicsProgram):
    """All settings, which the streaming job reads.

    Attributes:
        spark: Spark settings by their own names, such as `spark.master`. They override
            those that Tidemill sets.

    """

    pool: PoolSettings = PoolSettings()
    serving: ServingSettings = ServingSettings()
    store: StoreSettings = StoreSettings()
    tasks: TasksSettings = TasksSettings()
    monitoring: MonitoringSettings = MonitoringSettings()
    spark: dict[str, Annotated[str, BeforeValidator(_spark_value)]] = {}

    @model_validator(mode="after")
    def _no_speculation(self) -> Self:
        speculates = self.spark.get("spark.speculation", "").lower() == "true"
        if speculates and self.stream.delivery == "exactly-once":
            raise ValueError(str(SpeculationEnabled()))
        return self
