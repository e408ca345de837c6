from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tidemill.models import machine
from tidemill.spark import worker_memory as limits
from tidemill.spark.worker_memory import worker_memory

if TYPE_CHECKING:
    from pathlib import Path

GIB = 1024**3


@pytest.fixture(autouse=True)
def _machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Simulate a machine with 32 GiB, without a container limit and without a GPU."""
    monkeypatch.setattr("os.sysconf", {"SC_PAGE_SIZE": 4096, "SC_PHYS_PAGES": 8 << 20}.get)
    monkeypatch.setattr(machine, "CGROUP_LIMIT", tmp_path / "memory.max")
    monkeypatch.setattr(limits, "GPU_DEVICES", (tmp_path / "gpu",))


def limit(**user_conf: str) -> str | None:
    """Return the value of Spark's setting."""
    dotted = {name.replace("_", "."): value for name, value in user_conf.items()}
    return worker_memory(dotted).get("spark.executor.pyspark.memory")


class TestLimit:
    """A worker may use half of the memory."""

    def test_machine(self) -> None:
        """Without a container limit, the memory is the machine's."""
        assert limit() == "16384m"

    @pytest.mark.parametrize(
        ("memory_max", "expected"),
        [
            (f"{16 * GIB}\n", "8192m"),
            (f"{2 * GIB}\n", "4096m"),
            (f"{64 * GIB}\n", "16384m"),
            ("max\n", "16384m"),
        ],
    )
    def test_container(self, tmp_path: Path, memory_max: str, expected: str) -> None:
        """A container's limit counts if it is lower, but a worker always gets 4 GiB."""
        (tmp_path / "memory.max").write_text(memory_max)
        assert limit() == expected

    def test_cores(self) -> None:
        """The setting grows with the executor's cores, as Spark divides it by them."""
        assert limit(spark_executor_cores="4") == "65536m"

    def test_gpu(self, tmp_path: Path) -> None:
        """On a machine with a GPU there is no limit."""
        (tmp_path / "gpu").touch()
        assert limit() is None
