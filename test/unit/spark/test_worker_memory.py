from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tidemill.spark import worker_memory as limits
from tidemill.spark.worker_memory import worker_memory

if TYPE_CHECKING:
    from pathlib import Path

GIB = 1024**3


@pytest.fixture(autouse=True)
def _machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Have a machine with 32 GiB, in no container, without a GPU."""
    monkeypatch.setattr(limits.os, "sysconf", {"SC_PAGE_SIZE": 4096, "SC_PHYS_PAGES": 8 << 20}.get)
    monkeypatch.setattr(limits, "CGROUP", tmp_path / "memory.max")
    monkeypatch.setattr(limits, "GPUS", (tmp_path / "gpu",))


def limit(**own: str) -> str | None:
    """Return what Spark is told."""
    named = {name.replace("_", "."): value for name, value in own.items()}
    return worker_memory(named).get("spark.executor.pyspark.memory")


class TestLimit:
    """A worker may take half of the memory."""

    def test_machine(self) -> None:
        """Of the machine's."""
        assert limit() == "16384m"

    @pytest.mark.parametrize(
        ("said", "expected"),
        [
            (f"{16 * GIB}\n", "8192m"),
            (f"{2 * GIB}\n", "4096m"),
            (f"{64 * GIB}\n", "16384m"),
            ("max\n", "16384m"),
        ],
    )
    def test_container(self, tmp_path: Path, said: str, expected: str) -> None:
        """Of the container's where it has a limit, but as much as any worker needs."""
        (tmp_path / "memory.max").write_text(said)
        assert limit() == expected

    def test_cores(self) -> None:
        """Spark divides by the cores of an executor, where the user names them."""
        assert limit(spark_executor_cores="4") == "65536m"

    def test_gpu(self, tmp_path: Path) -> None:
        """Next to a GPU there is no limit: its driver takes more addresses than there is memory."""
        (tmp_path / "gpu").touch()
        assert limit() is None
