from __future__ import annotations

import itertools
import socket
from contextlib import suppress
from threading import Thread
from typing import TYPE_CHECKING

import pytest
import structlog
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
from tidemill.models import host, trial
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
        return ['{ "echo": "%s" }' % text for text in inputs]

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
def results(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[CheckResult]:
    """Return the results before the broker: Java is missing, and one of three models works."""
    (tmp_path / "checked_models.py").write_text(MODULE, "utf-8")
    (tmp_path / "models.yaml").write_text(MODELS, "utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(host, "load", host.Host().load)
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))
    return list(itertools.islice(check(Settings(models=tmp_path / "models.yaml")), 4))


class TestCheck:
    """Every part is checked, even after one that fails."""

    def test_java(self, results: list[CheckResult]) -> None:
        """If Java is missing, the result tells what to install."""
        assert results[0].subject == "java"
        assert isinstance(results[0].error, JavaNotFound)
        assert "Install" in results[0].error.hint

    def test_working_model(self, results: list[CheckResult]) -> None:
        """A working model shows its output for the sample on one line."""
        assert results[1].subject == "model works:1"
        assert results[1].error is None
        assert results[1].message.endswith('{"echo":"hi"}')

    def test_broken_models(self, results: list[CheckResult]) -> None:
        """A model that fails on its sample differs from one that does not load."""
        assert isinstance(results[2].error, ModelUnavailable)
        assert "away" in results[2].message
        assert isinstance(results[3].error, ModelMisconfigured)
        assert "None_" in results[3].message

    @pytest.mark.parametrize(("level", "shown"), [("DEBUG", True), ("INFO", False)])
    def test_tracebacks(
        self,
        level: str,
        shown: bool,
        request: pytest.FixtureRequest,
        monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        """At level DEBUG the log contains the traceback of a failed sample or constructor."""
        # A logger keeps the configuration of its first use.
        monkeypatch.setattr(trial, "log", structlog.get_logger(trial.__name__))
        logs.configure("console", level)
        request.getfixturevalue("results")
        printed = capsys.readouterr().err
        assert ("checked_models.py" in printed) == ("in predict_all" in printed) == shown
        assert ("has no attribute 'None_'" in printed) == shown

    def test_broken_file(self, tmp_path: Path) -> None:
        """An invalid models file is one result."""
        (tmp_path / "models.yaml").write_text("models: []", "utf-8")
        _, result = itertools.islice(check(Settings(models=tmp_path / "models.yaml")), 2)
        assert result.subject == "models"
        assert isinstance(result.error, InvalidModels)

    def test_message_type(self, results: list[CheckResult]) -> None:
        """Every message is a string."""
        for result in results:
            assert isinstance(result.message, str)


class TestTimeout:
    """An unreachable server does not delay the checks for long."""

    def test_bounded(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """Kafka and the Pushgateway share one limit, whatever their own timeouts."""
        monkeypatch.setattr(checking, "TIMEOUT_S", 0.5)
        monkeypatch.setitem(connect.TIMEOUTS, "bootstrap_timeout_ms", 120_000)
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
        assert gateway.message == "note: metrics cannot be pushed: no answer within 0.5 s"
        assert gateway.error is None


class TestMetricsPort:
    """The port for /metrics is free, or the job itself uses it."""

    @pytest.fixture
    def metrics(self, tmp_path: Path) -> Callable[..., CheckResult]:
        """Return the result for the port, without models: `metrics(metrics_port=1)`."""

        def find(**monitoring: object) -> CheckResult:
            settings = Settings(
                models=tmp_path / "none.yaml",
                monitoring=MonitoringSettings(**monitoring),
            )
            return next(f for f in check(settings) if f.subject.startswith("metrics"))

        return find

    @pytest.fixture
    def taken(self) -> Iterator[int]:
        """A port on which another program listens."""
        with socket.create_server(("127.0.0.1", 0)) as server:
            server.settimeout(30)
            Thread(target=self._hang_up, args=(server,), daemon=True).start()
            yield server.getsockname()[1]

    @staticmethod
    def _hang_up(server: socket.socket) -> None:
        with suppress(OSError):
            server.accept()[0].close()

    def test_free(self, metrics: Callable[..., CheckResult]) -> None:
        """Checking a free port does not occupy it."""
        for _ in range(2):
            assert metrics(metrics_port=0).message == "free"

    def test_taken(self, metrics: Callable[..., CheckResult], taken: int) -> None:
        """A port of another program is the error that a start would raise."""
        result = metrics(metrics_port=taken)
        assert isinstance(result.error, MetricsPortTaken)
        assert f"127.0.0.1:{taken}" in result.message

    @pytest.mark.parametrize(("group", "fault"), [("tidemill", False), ("other", True)])
    def test_job(self, metrics: Callable[..., CheckResult], group: str, fault: bool) -> None:
        """The running job may use the port; a job of another group is an error."""
        with metrics_server("127.0.0.1", 0, CollectorRegistry(), Health(300), group) as (_, port):
            result = metrics(metrics_port=port)
        assert isinstance(result.error, MetricsPortTaken) is fault
        assert ("the job of group tidemill is running" in result.message) is not fault

    def test_unusable(self, metrics: Callable[..., CheckResult]) -> None:
        """The job cannot listen on an address of another machine."""
        result = metrics(metrics_host="192.0.2.1", metrics_port=9095)
        assert isinstance(result.error, MetricsAddressUnusable)

    def test_none(self, tmp_path: Path) -> None:
        """Without a port there is nothing to check."""
        settings = Settings(
            models=tmp_path / "none.yaml", monitoring=MonitoringSettings(metrics_port=None)
        )
        subjects = [result.subject for result in itertools.islice(check(settings), 3)]
        assert subjects[:2] == ["java", "models"]
        assert not subjects[2].startswith("metrics")
