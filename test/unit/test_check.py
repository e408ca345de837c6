from __future__ import annotations

import itertools
import socket
from contextlib import suppress
from threading import Thread
from typing import TYPE_CHECKING

import pytest
from prometheus_client import CollectorRegistry

from tidemill import check as checking
from tidemill import logs
from tidemill.check import CheckResult, check
from tidemill.errors import (
    BrokerUnreachable,
    InvalidModels,
    JavaNotFound,
    MetricsAddressUnusable,
    MetricsPortTaken,
    ModelMisconfigured,
    ModelUnavailable,
)
from tidemill.kafka import connect
from tidemill.models import catalogue
from tidemill.monitoring import pushgateway
from tidemill.monitoring.health import Health
from tidemill.monitoring.server import metrics_server
from tidemill.settings import Settings
from tidemill.settings.monitoring import MonitoringSettings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

MODULE = """
class Works:
    def predict_all(self, inputs):
        return ['{ "said": "%s" }' % text for text in inputs]

class Away:
    def predict_all(self, inputs):
        raise ConnectionError("away")
"""
MODELS = "models:" + "".join(
    f"""
  - name: {name}
    version: "1"
    adapter: checked_models:{adapter}
    match: {{which: {name}}}
    sample: hi
    result: out
"""
    for name, adapter in {"works": "Works", "away": "Away", "none": "None_"}.items()
)


@pytest.fixture
def findings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[CheckResult]:
    """Return what is found before the broker is asked: Java is not there, one model works."""
    (tmp_path / "checked_models.py").write_text(MODULE, "utf-8")
    (tmp_path / "models.yaml").write_text(MODELS, "utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(catalogue, "_loaded", {})
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))
    return list(itertools.islice(check(Settings(models=tmp_path / "models.yaml")), 4))


class TestFindings:
    """Every part is looked at, also after one that is wrong."""

    def test_java(self, findings: list[CheckResult]) -> None:
        """A missing Java is told with what to install."""
        assert findings[0].subject == "java"
        assert isinstance(findings[0].error, JavaNotFound)
        assert "install" in findings[0].message

    def test_working_model(self, findings: list[CheckResult]) -> None:
        """A model that works shows its answer to the sample, on one line."""
        assert findings[1].subject == "model works:1"
        assert findings[1].error is None
        assert findings[1].message.endswith('{"said":"hi"}')

    def test_broken_models(self, findings: list[CheckResult]) -> None:
        """One that fails on its sample and one that does not load are told apart."""
        assert isinstance(findings[2].error, ModelUnavailable)
        assert "away" in findings[2].message
        assert isinstance(findings[3].error, ModelMisconfigured)
        assert "None_" in findings[3].message

    @pytest.mark.parametrize(("level", "shown"), [("DEBUG", True), ("INFO", False)])
    def test_tracebacks(
        self,
        level: str,
        shown: bool,
        request: pytest.FixtureRequest,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        """At level DEBUG the log shows where a sample or a constructor failed."""
        logs.configure("console", level)
        request.getfixturevalue("findings")
        printed = capsys.readouterr().err
        assert ("checked_models.py" in printed) == ("in predict_all" in printed) == shown
        assert ("has no attribute 'None_'" in printed) == shown

    def test_broken_file(self, tmp_path: Path) -> None:
        """A models' file that cannot be read is one finding."""
        (tmp_path / "models.yaml").write_text("models: []", "utf-8")
        _, finding = itertools.islice(check(Settings(models=tmp_path / "models.yaml")), 2)
        assert finding.subject == "models"
        assert isinstance(finding.error, InvalidModels)

    def test_said_in_words(self, findings: list[CheckResult]) -> None:
        """What is found is text, for any door to print."""
        for finding in findings:
            assert isinstance(finding.message, str)


class TestSilence:
    """What does not answer holds nobody up."""

    def test_bounded(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """Kafka and the Pushgateway are given up together, whatever their own time-outs are."""
        monkeypatch.setattr(checking, "PATIENCE_S", 0.5)
        monkeypatch.setitem(connect.PATIENCE, "bootstrap_timeout_ms", 120_000)
        monkeypatch.setattr(pushgateway, "TIMEOUT_S", 120)
        with socket.create_server(("127.0.0.1", 0)) as silent:
            at = f"127.0.0.1:{silent.getsockname()[1]}"
            settings = Settings(
                models=tmp_path / "none.yaml",
                kafka={"bootstrap_servers": at},
                monitoring={"pushgateway_url": f"http://{at}"},
            )
            *_, kafka, gateway = check(settings)
        assert isinstance(kafka.error, BrokerUnreachable)
        assert "did not finish within 0.5 s" in kafka.message
        assert gateway.message == "note: nothing can be pushed: no answer within 0.5 s"
        assert gateway.error is None


class TestMetricsPort:
    """The port for /metrics is free, or the job itself has it."""

    @pytest.fixture
    def metrics(self, tmp_path: Path) -> Callable[..., CheckResult]:
        """Return the finding about the port, with no models: `metrics(metrics_port=1)`."""

        def find(**monitoring: object) -> CheckResult:
            settings = Settings(
                models=tmp_path / "none.yaml",
                monitoring=MonitoringSettings(**monitoring),  # type: ignore[arg-type]
            )
            return next(f for f in check(settings) if f.subject.startswith("metrics"))

        return find

    @pytest.fixture
    def taken(self) -> Iterator[int]:
        """A port where something listens that is no job."""
        with socket.create_server(("127.0.0.1", 0)) as server:
            server.settimeout(30)
            Thread(target=self._hang_up, args=(server,), daemon=True).start()
            yield server.getsockname()[1]

    @staticmethod
    def _hang_up(server: socket.socket) -> None:
        with suppress(OSError):
            server.accept()[0].close()

    def test_free(self, metrics: Callable[..., CheckResult]) -> None:
        """A free port stays free."""
        for _ in range(2):
            assert metrics(metrics_port=0).message == "free"

    def test_taken(self, metrics: Callable[..., CheckResult], taken: int) -> None:
        """Another program's port is the error that the start would raise."""
        found = metrics(metrics_port=taken)
        assert isinstance(found.error, MetricsPortTaken)
        assert f"127.0.0.1:{taken} is in use" in found.message

    @pytest.mark.parametrize(("group", "fault"), [("tidemill", False), ("other", True)])
    def test_job(self, metrics: Callable[..., CheckResult], group: str, fault: bool) -> None:
        """Beside the running job the port is rightly taken; another group's job is in the way."""
        with metrics_server("127.0.0.1", 0, CollectorRegistry(), Health(300), group) as (_, port):
            found = metrics(metrics_port=port)
        assert isinstance(found.error, MetricsPortTaken) is fault
        assert ("the job of group tidemill is running" in found.message) is not fault

    def test_unusable(self, metrics: Callable[..., CheckResult]) -> None:
        """An address that is not this machine's can never be listened on."""
        found = metrics(metrics_host="192.0.2.1", metrics_port=9095)
        assert isinstance(found.error, MetricsAddressUnusable)

    def test_none(self, tmp_path: Path) -> None:
        """Without a port nothing is looked at."""
        settings = Settings(
            models=tmp_path / "none.yaml", monitoring=MonitoringSettings(metrics_port=None)
        )
        subjects = [finding.subject for finding in itertools.islice(check(settings), 3)]
        assert subjects[:2] == ["java", "models"]
        assert not subjects[2].startswith("metrics")
