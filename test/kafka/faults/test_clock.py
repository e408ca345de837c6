"""The clock of the job's machine jumps, for Python, the JVM and Kafka's clients."""

from __future__ import annotations

import re
import shutil
import struct
import subprocess
import time
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from faults import scenario

if TYPE_CHECKING:
    from dev.kafka.broker import Broker
    from dev.pipeline.pipeline import Pipeline

SOURCE = Path(__file__).with_name("jumping_clock.c")
DAY, HOUR = 86_400, 3_600
# How far a record may be ahead of the broker; an hour by default.
TIMES_AHEAD = "message.timestamp.after.max.ms"


@pytest.fixture
def library(tmp_path: Path) -> Path:
    """The library that moves the clock, for LD_PRELOAD."""
    if shutil.which("cc") is None:
        pytest.skip("this test needs a C compiler")
    built = tmp_path / "jumping_clock.so"
    subprocess.run(["cc", "-O2", "-shared", "-fPIC", "-o", built, SOURCE], check=True)
    return built


@pytest.fixture
def clock(tmp_path: Path) -> Path:
    """The file that contains the seconds by which the clock is ahead."""
    file = tmp_path / "clock"
    file.write_bytes(bytes(8))
    return file


def jump(clock: Path, seconds: int) -> None:
    """Set the seconds by which the clock is ahead."""
    with clock.open("r+b") as file:
        file.write(struct.pack("q", seconds))


def job(pipeline: Pipeline, delivery: str, library: Path, clock: Path) -> dict[str, str]:
    """Return the environment of a job whose clock jumps."""
    return {
        **pipeline.environment("Upper", STREAM__DELIVERY=delivery, LOG__LEVEL="DEBUG"),
        "LD_PRELOAD": str(library),
        "JUMPING_CLOCK": str(clock),
    }


AHEAD, BEHIND = [DAY], [DAY, -HOUR]  # after a step back, timeouts last longer by as much


class TestJumps:
    """The clock jumps a day ahead, then an hour back."""

    @pytest.mark.parametrize(
        ("delivery", "jumps"),
        [
            ("exactly-once", AHEAD),
            pytest.param("exactly-once", BEHIND, marks=pytest.mark.slow),
            pytest.param("at-least-once", BEHIND, marks=pytest.mark.slow),
        ],
    )
    def test_processed(
        self,
        broker: Broker,
        tmp_path: Path,
        library: Path,
        clock: Path,
        delivery: str,
        jumps: list[int],
    ) -> None:
        """If the topics accept any timestamp, all is processed and nothing repeated."""
        pipeline = scenario.make_pipeline(broker, tmp_path, output={TIMES_AHEAD: str(2**63 - 1)})
        program = pipeline.program(job(pipeline, delivery, library, clock))
        with scenario.Flow(pipeline, delivery, program) as flow:
            for seconds in jumps:
                jump(clock, seconds)
                time.sleep(3)
                flow.catch_up()  # may take minutes if a worker was about to connect
            flow.finish()
        tomorrow = time.strftime("%Y-%m-%d", time.gmtime(time.time() + DAY))
        assert f"{tomorrow}T" in program.output
        assert f'"timestamp" : "{tomorrow}' in program.output  # written by the JVM

    @pytest.mark.slow
    @pytest.mark.parametrize("delivery", ["exactly-once", "at-least-once"])
    def test_refused(self, pipeline: Pipeline, library: Path, clock: Path, delivery: str) -> None:
        """Otherwise the broker refuses them: the job fails, and a later run processes all."""
        settings = job(pipeline, delivery, library, clock)
        pipeline.produce(*islice(scenario.messages(), 20))
        with pipeline.program(settings) as program:
            scenario.wait_for_all(pipeline, program)
            jump(clock, DAY)
            pipeline.produce(*islice(scenario.messages(), 20))
            assert program.wait() == 1, program.output
        assert re.search("(?i)invalid.?timestamp", program.output)
        jump(clock, 0)
        with pipeline.program(
            {**settings, "TIDEMILL__STREAM__TRIGGER": "available-now"}
        ) as program:
            assert program.wait() == 0, program.output
        scenario.check(pipeline, delivery)
