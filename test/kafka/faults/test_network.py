"""Between the job and the broker everything is slow, or nothing passes for a while."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
import uuid
from typing import TYPE_CHECKING

import pytest

from dev.kafka.broker import Broker, free_listeners
from dev.kafka.distribution import fetch_kafka
from dev.kafka.ports import HOST, free_ports
from dev.kafka.slow_link import SlowLink
from dev.pipeline.job_process import JobProcess
from faults import scenario

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from dev.pipeline.pipeline import Pipeline

# Of the range for tests of networks (RFC 2544); somebody else may run the same test.
NETWORK = f"198.18.{random.SystemRandom().randrange(256)}"
HERE, THERE = f"{NETWORK}.1", f"{NETWORK}.2"
CUT_S = 20


def broker_for(job: str, folder: Path, *, advertised: str | None = None) -> Broker:
    """Return a broker with a listener of the job's own, at an address that may be another's."""
    listeners = free_listeners()
    addresses = f"PLAINTEXT://{HOST}:{listeners.plain}"
    names = ("PLAINTEXT", "CONTROLLER", "JOB")
    return Broker(
        folder,
        fetch_kafka(),
        listeners=listeners,
        properties={
            "listeners": f"{addresses},CONTROLLER://{HOST}:{listeners.controller},JOB://{job}",
            "advertised.listeners": f"{addresses},JOB://{advertised or job}",
            "listener.security.protocol.map": ",".join(f"{n}:PLAINTEXT" for n in names),
        },
    )


def job(pipeline: Pipeline, delivery: str, servers: str) -> dict[str, str]:
    """Return the environment of a job that reaches the broker in a way of its own."""
    return pipeline.environment(
        "Upper", STREAM__DELIVERY=delivery, KAFKA__BOOTSTRAP_SERVERS=servers
    )


class TestSlow:
    """Each packet takes 0.2 s, and one of twenty 0.6 s, in each direction."""

    @pytest.mark.slow
    @pytest.mark.parametrize("delivery", ["exactly-once", "at-least-once"])
    def test_answered(self, delivery: str, tmp_path: Path) -> None:
        """The job is slower, and all is as ever."""
        port, target = free_ports(2)
        at, behind = f"{HOST}:{port}", f"{HOST}:{target}"
        with (
            SlowLink(port, target) as link,
            broker_for(behind, tmp_path / "broker", advertised=at) as broker,
        ):
            pipeline = scenario.make_pipeline(broker, tmp_path / "pipeline")
            with scenario.Flow(
                pipeline, delivery, pipeline.program(job(pipeline, delivery, at))
            ) as flow:
                link.delay = 0.2
                time.sleep(10)
                flow.catch_up()
                flow.finish()


@pytest.fixture
def namespace() -> Iterator[str]:
    """A network of its own for the job: one link leads there, whose ends have the addresses."""
    if os.geteuid():
        pytest.skip("only root may make a network namespace")
    name = f"tm{uuid.uuid4().hex[:8]}"
    if subprocess.run(["ip", "netns", "add", name], check=False).returncode:
        pytest.skip("no network namespace can be made here")
    try:
        for command in (
            f"link add {name} type veth peer name {name}j netns {name}",
            f"address add {HERE}/30 dev {name}",
            f"link set {name} up",
            f"-n {name} address add {THERE}/30 dev {name}j",
            f"-n {name} link set {name}j up",
            f"-n {name} link set lo up",
        ):
            subprocess.run(["ip", *command.split()], check=True)
        yield name
    finally:
        subprocess.run(["ip", "netns", "delete", name], check=True)
        subprocess.run(["ip", "link", "delete", name], check=False, stderr=subprocess.DEVNULL)


class TestCut:
    """Nothing passes for 20 seconds; connections hang rather than end."""

    @pytest.mark.parametrize("delivery", scenario.BOTH)
    def test_answered(self, delivery: str, namespace: str, tmp_path: Path) -> None:
        """The job waits, and goes on when the link is back."""
        (port,) = free_ports(1)
        servers = f"{HERE}:{port}"
        with broker_for(servers, tmp_path / "broker") as broker:
            pipeline = scenario.make_pipeline(broker, tmp_path / "pipeline")
            launcher = ("ip", "netns", "exec", namespace, sys.executable, "-m", "app")
            environment = {**job(pipeline, delivery, servers), "PYSPARK_PYTHON": sys.executable}
            program = JobProcess(pipeline.folder, environment, "stream", launcher=launcher)
            with scenario.Flow(pipeline, delivery, program) as flow:
                subprocess.run(["ip", "link", "set", namespace, "down"], check=True)
                time.sleep(CUT_S)
                subprocess.run(["ip", "link", "set", namespace, "up"], check=True)
                flow.catch_up()
                flow.finish()
