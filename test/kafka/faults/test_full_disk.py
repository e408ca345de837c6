"""A full disk under the checkpoint ends the job; once there is space, it resumes."""

from __future__ import annotations

import os
import subprocess
from contextlib import suppress
from itertools import islice
from typing import TYPE_CHECKING

import pytest

from faults import scenario

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from dev.pipeline.pipeline import Pipeline
    from tidemill.errors import TidemillError

    Start = Callable[..., TidemillError | None]


@pytest.fixture
def disk(pipeline: Pipeline) -> Iterator[Path]:
    """A file system of one megabyte for the pipeline's checkpoint."""
    if os.geteuid():
        pytest.skip("this test needs root, to mount a file system")
    folder = pipeline.folder / "checkpoint"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)], check=False
    )
    if mounted.returncode:
        pytest.skip("cannot mount a file system here")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def fill(disk: Path) -> None:
    """Fill the disk completely."""
    with (disk / "filler").open("wb", buffering=0) as file, suppress(OSError):
        while file.write(b"x" * 4096):
            pass


class TestFullDisk:
    """Spark cannot write the checkpoint."""

    def test_before_a_start(
        self, pipeline: Pipeline, disk: Path, delivery: str, start: Start
    ) -> None:
        """Each start fails with an error that names the cause, until there is space."""
        pipeline.produce(*islice(scenario.messages(), 20))
        assert start(pipeline) is None
        pipeline.produce(*islice(scenario.messages(), 20))
        fill(disk)
        for _ in range(2):
            error = start(pipeline)
            assert error is not None
            assert "No space left on device" in str(error)
        (disk / "filler").unlink()
        assert start(pipeline) is None
        scenario.check(pipeline, delivery)

    @pytest.mark.parametrize("delivery", scenario.BOTH)
    def test_while_it_runs(self, pipeline: Pipeline, disk: Path, delivery: str) -> None:
        """The job ends with exit code 1 and the cause; the next one resumes."""
        pipeline.produce(*islice(scenario.messages(), 20))
        job = pipeline.environment("Upper", STREAM__DELIVERY=delivery)
        with pipeline.program(job) as program:
            scenario.wait_for_all(pipeline, program)
            fill(disk)
            pipeline.produce(*islice(scenario.messages(), 20))
            assert program.wait() == 1, program.output
        assert "No space left on device" in "".join(program.output.splitlines()[-2:])
        (disk / "filler").unlink()
        with pipeline.program({**job, "TIDEMILL__STREAM__TRIGGER": "available-now"}) as program:
            assert program.wait() == 0, program.output
        scenario.check(pipeline, delivery)
