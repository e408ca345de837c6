"""The section `tasks`."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BeforeValidator, ByteSize, Field

from tidemill.settings.base import Section, read_null
from tidemill.settings.stream import Topic

DAY_S = 86_400


class JobSettings(Section):
    """A job that tasks can be submitted for.

    Attributes:
        job: The class, as `module:Class`.
        options: Arguments of the class.
        timeout: How long a task may run, in seconds.
        concurrency: How many of its tasks run at once, on all workers; null for any number.
        attempts: How often a task is begun whose process or worker ends. One that raises an
            exception, or takes too long, is not begun again.

    """

    job: str
    options: dict[str, Any] = Field({})
    timeout: float = Field(3600, gt=0)
    concurrency: int | None = Field(None, ge=1)
    attempts: int = Field(3, ge=1)


class TasksSettings(Section):
    """Long tasks, which workers run and whose results are fetched later.

    Attributes:
        jobs: The [jobs](tasks.md) by name.
        slots: How many tasks a worker runs at once, each in a process of its own.
        take_over: After how many seconds without a sign of life another worker takes a task over.
        grace: How many seconds a cancelled task has to end by itself.
        topic: The Kafka topic that gets a [message](tasks.md#a-message-when-a-run-ends) for each
            run that has ended; null for none.
        keep: For how many seconds runs and results are kept after their end.
        max_parameters: The largest parameters of a task, as JSON.
        max_result: The largest result of a task, as JSON.
        max_waiting: How many tasks of a job may wait. Further ones are refused, over HTTP with
            status 429.
        metrics_host: The address at which `tidemill task work` serves /metrics, if it has a port.
            Set it to `0.0.0.0` if others must reach it, as in a container.
        metrics_port: The port of this [page](tasks.md#metrics-and-alerts). `0`: any free port,
            which the log names. `null`: do not serve it.

    """

    jobs: dict[str, JobSettings] = Field({})
    slots: int = Field(2, ge=1)
    take_over: float = Field(15, ge=1)
    grace: float = Field(5, ge=0)
    topic: Topic | None = None
    keep: float = Field(30 * DAY_S, gt=0)
    max_parameters: ByteSize = ByteSize(2**20)
    max_result: ByteSize = ByteSize(16 * 2**20)
    max_waiting: int = Field(100_000, ge=1)
    metrics_host: str = Field("127.0.0.1", min_length=1)
    metrics_port: Annotated[int | None, BeforeValidator(read_null)] = Field(None, ge=0, le=65535)
