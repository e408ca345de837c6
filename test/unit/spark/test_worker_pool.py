from __future__ import annotations

import os
from typing import Any

import pytest

from tidemill.settings import PoolSettings
from tidemill.spark import worker_pool
from tidemill.spark.worker_pool import sized, worker_runner


class Spark:
    """A session, and its context, with a master, a number of threads, and a configuration."""

    def __init__(self, master: str, threads: int = 2, **conf: str) -> None:
        self.sparkContext = self
        self.master = master
        self.defaultParallelism = threads
        self._conf = {name.replace("_", "."): value for name, value in conf.items()}

    def getConf(self) -> dict[str, str]:  # noqa: N802 - Spark's name
        """Return the configuration."""
        return self._conf


def processes(spark: Any, **settings: Any) -> int | None:  # noqa: ANN401 - a session; any settings
    """Return how many processes a pool has."""
    return sized(PoolSettings(**settings), spark).processes


@pytest.fixture(autouse=True)
def _four_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pretend that this machine has four cores."""
    monkeypatch.setattr(worker_pool, "cores", lambda: 4)


class TestSized:
    """An executor's pool has a process for each core that Spark uses."""

    @pytest.mark.parametrize("master", ["local[2]", "spark://host:7077", "yarn"])
    def test_setting(self, master: str) -> None:
        """The setting wins, even over the number of cores."""
        assert processes(Spark(master, spark_executor_cores="2"), processes=7) == 7

    @pytest.mark.parametrize(("threads", "expected"), [(1, 1), (3, 3), (4, 4), (16, 4)])
    @pytest.mark.parametrize("master", ["local", "local[*]", "local[16, 3]"])
    def test_local(self, master: str, threads: int, expected: int) -> None:
        """A local master has as many as Spark has threads, but not more than there are cores."""
        spark = Spark(master, threads, spark_executor_cores="9")
        assert processes(spark) == expected

    @pytest.mark.parametrize("master", ["spark://host:7077", "yarn", "k8s://https://host"])
    def test_cluster(self, master: str) -> None:
        """On a cluster it is the number of an executor's cores, not that of the whole cluster."""
        assert processes(Spark(master, 100, spark_executor_cores="6")) == 6

    @pytest.mark.parametrize(
        ("master", "expected"),
        [("spark://host:7077", None), ("yarn", 1), ("k8s://https://host", 1)],
    )
    def test_unknown(self, master: str, expected: int | None) -> None:
        """A standalone executor has all cores of its machine, and counts them; others have one."""
        assert processes(Spark(master, 100)) == expected

    def test_task_cpus(self) -> None:
        """A task that takes several cores has threads for them, so there are fewer processes."""
        conf = {"spark_executor_cores": "8", "spark_task_cpus": "4"}
        assert processes(Spark("k8s://https://host", 100, **conf)) == 2

    def test_other_settings(self) -> None:
        """The other settings are kept."""
        spark: Any = Spark("local[2]")
        settings = PoolSettings(min_slice=3, max_slice=5)
        assert sized(settings, spark) == PoolSettings(processes=2, min_slice=3, max_slice=5)


class Task:
    """A TaskContext, inside a task or outside."""

    def __init__(self, *, is_running: bool) -> None:
        self._is_running = is_running

    def get(self) -> Task | None:
        """Return this context, or None outside a task."""
        return self if self._is_running else None


class TestOwner:
    """A pool ends with the process that owns it."""

    @pytest.mark.parametrize("is_running", [False, True])
    def test_each(self, monkeypatch: pytest.MonkeyPatch, is_running: bool) -> None:
        """In a task that is Spark's daemon, which forked this worker; otherwise this process."""
        owner = os.getppid() if is_running else os.getpid()
        arguments: list[object] = []
        monkeypatch.setattr(worker_pool, "TaskContext", Task(is_running=is_running))
        monkeypatch.setattr(worker_pool, "runner", lambda *given: arguments.extend(given))
        settings = PoolSettings(processes=3)
        worker_runner((), settings)
        assert arguments == [(), settings, owner]
