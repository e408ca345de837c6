"""The network between the job and the broker is slow or interrupted."""

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

# In the range for network tests (RFC 2544); random, as another run may use the same machine.
NETWORK = f"198.18.{random.SystemRandom().randrange(256)}"
HERE, THERE = f"{NETWORK}.1", f"{NETWORK}.2"
CUT_S = 20


def broker_for(job: str, folder: Path, *, advertised: str | None = None) -> Broker:
    """Return a broker with a listener for the job, which may advertise another address."""
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
    """Return the environment of a job that connects to certain bootstrap servers."""
    return pipeline.environment(
        "Upper", STREAM__DELIVERY=delivery, KAFKA__BOOTSTRAP_SERVERS=servers
    )


class TestSlow:
    """Each packet takes 0.2 s, and one of twenty 0.6 s, in each direction."""

    @pytest.mark.slow
    @pytest.mark.parametrize("delivery", ["exactly-once", "at-least-once"])
    def test_processed(self, delivery: str, tmp_path: Path) -> None:
        """The job is slower, but nothing else changes."""
        port, target = free_ports(2)
        proxy, broker_address = f"{HOST}:{port}", f"{HOST}:{target}"
        with (
            SlowLink(port, target) as link,
            broker_for(broker_address, tmp_path / "broker", advertised=proxy) as broker,
        ):
            pipeline = scenario.make_pipeline(broker, tmp_path / "pipeline")
            with scenario.Flow(
                pipeline, delivery, pipeline.program(job(pipeline, delivery, proxy))
            ) as flow:
                link.delay = 0.2
                time.sleep(10)
                flow.catch_up()
                flow.finish()


@pytest.fixture
def namespace() -> Iterator[str]:
    """A network namespace for the job, connected by one link."""
    if os.geteuid():
        pytest.skip("this test needs root, to create a network namespace")
    name = f"tm{uuid.uuid4().hex[:8]}"
    if subprocess.run(["ip", "netns", "add", name], check=False).returncode:
        pytest.skip("cannot create a network namespace here")
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
    """The link is down for 20 seconds; connections hang instead of closing."""

    @pytest.mark.parametrize("delivery", scenario.BOTH)
    def test_processed(self, delivery: str, namespace: str, tmp_path: Path) -> None:
        """The job waits, and continues when the link is up again."""
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
