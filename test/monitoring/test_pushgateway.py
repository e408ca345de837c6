from __future__ import annotations

import socket
import time
from typing import TYPE_CHECKING, Any

import pytest
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from structlog.testing import capture_logs

from dev.kafka.certificates import issue_certificates
from dev.monitoring.servers import TIMEOUT_S, Pushgateway
from tidemill.monitoring.pushgateway import PushgatewayExporter
from tidemill.settings import MonitoringSettings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from dev.monitoring.servers import Prometheus

USER, PASSWORD = "tidemill", "tide-and-mill"
# bcrypt, with the lowest cost that Pushgateway accepts.
HASHED = "$2b$04$abcdefghijklmnopqrstuuXcf1hrn0J7.GH4hk3gqRVsZTF4rbDgK"
JOB = "tidemill-g"


@pytest.fixture
def registry() -> CollectorRegistry:
    """A registry with one metric of each type."""
    registry = CollectorRegistry()
    Counter("tidemill_messages", "Messages.", registry=registry).inc(3)
    Gauge("tidemill_lag", "Lag.", ["topic"], registry=registry).labels("in").set(5)
    Histogram("tidemill_latency_seconds", "Latency.", registry=registry).observe(0.2)
    return registry


@pytest.fixture
def export(registry: CollectorRegistry) -> Iterator[Callable[..., PushgatewayExporter]]:
    """Start an exporter: `export(url, interval=0.1, username=...)`, with settings by name."""
    started: list[PushgatewayExporter] = []

    def start(url: str, job: str = JOB, **settings: Any) -> PushgatewayExporter:  # noqa: ANN401
        named = {f"pushgateway_{name}": value for name, value in settings.items()}
        monitoring = MonitoringSettings(
            **{"pushgateway_interval": 0.1, "pushgateway_url": url, "instance": "here", **named}
        )
        started.append(PushgatewayExporter(monitoring, job, registry).start())
        return started[-1]

    yield start
    for exporter in started:
        exporter.close(TIMEOUT_S)


def wait_for_lines(logs: list[Any], count: int) -> None:
    """Wait until this many lines are logged."""
    deadline = time.monotonic() + TIMEOUT_S
    while len(logs) < count:
        assert time.monotonic() < deadline, logs
        time.sleep(0.05)


class TestGroup:
    """A running job has one group."""

    def test_there_and_gone(
        self, gateway: Pushgateway, export: Callable[..., PushgatewayExporter]
    ) -> None:
        """All types of metrics arrive with their types; a stop deletes them."""
        with capture_logs() as logs:
            exporter = export(gateway.url)
            (group,) = gateway.wait_for_groups(1)
            assert group["labels"] == {"job": JOB, "instance": "here"}
            types = {name: group[name]["type"] for name in group if name.startswith("tidemill_")}
            assert types["tidemill_messages_total"] == "COUNTER"
            assert types["tidemill_lag"] == "GAUGE"
            assert types["tidemill_latency_seconds"] == "HISTOGRAM"
            exporter.close(TIMEOUT_S)
            gateway.wait_for_groups(0)  # the gateway deletes after it has answered
        assert logs == []

    def test_failure(self, gateway: Pushgateway, registry: CollectorRegistry) -> None:
        """A failed job leaves its group, which goes stale, so that an alert can fire."""

        def job() -> None:
            with PushgatewayExporter(
                MonitoringSettings(pushgateway_url=gateway.url), JOB, registry
            ):
                gateway.wait_for_groups(1)
                raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            job()
        assert [group["labels"]["job"] for group in gateway.groups()] == [JOB]

    def test_replaced(
        self,
        gateway: Pushgateway,
        export: Callable[..., PushgatewayExporter],
        registry: CollectorRegistry,
    ) -> None:
        """A metric that the job no longer has disappears with the next push."""
        lag = Gauge("tidemill_old", "Old.", registry=registry)
        export(gateway.url)
        assert "tidemill_old" in gateway.wait_for_groups(1)[0]
        registry.unregister(lag)
        deadline = time.monotonic() + TIMEOUT_S
        while "tidemill_old" in gateway.groups()[0]:
            assert time.monotonic() < deadline
            time.sleep(0.05)

    def test_two_jobs(
        self, gateway: Pushgateway, export: Callable[..., PushgatewayExporter]
    ) -> None:
        """The end of one job does not delete the other's group."""
        first, _ = export(gateway.url), export(gateway.url, job="tidemill-other")
        gateway.wait_for_groups(2)
        first.close(TIMEOUT_S)
        (left,) = gateway.wait_for_groups(1)  # it deletes after it has answered
        assert left["labels"]["job"] == "tidemill-other"

    def test_scraped(
        self,
        pushgateway: str,
        prometheus: Callable[..., Prometheus],
        export: Callable[..., PushgatewayExporter],
    ) -> None:
        """Prometheus scrapes the metrics with the job and instance that were pushed."""
        export(pushgateway)
        ((labels, value),) = prometheus(pushgateway).wait_for("tidemill_messages_total")
        assert value == 3
        assert labels == {"__name__": "tidemill_messages_total", "job": JOB, "instance": "here"}


class TestOutage:
    """An outage of the gateway loses only the pushes of that time."""

    def test_restart(
        self, gateway: Pushgateway, export: Callable[..., PushgatewayExporter]
    ) -> None:
        """After a kill and a restart it gets the next push; two lines are logged."""
        with capture_logs() as logs:
            export(gateway.url)
            gateway.wait_for_groups(1)
            gateway.kill()
            wait_for_lines(logs, 1)
            gateway.start()
            gateway.wait_for_groups(1)
            wait_for_lines(logs, 2)
        assert [line["event"] for line in logs] == [
            f"cannot push metrics to {gateway.url}, retrying",
            f"can push metrics to {gateway.url} again",
        ]

    def test_away_at_the_stop(
        self, gateway: Pushgateway, export: Callable[..., PushgatewayExporter]
    ) -> None:
        """An unreachable gateway does not delay the stop; the log says that the metrics stay."""
        with capture_logs() as logs:
            exporter = export(gateway.url)
            gateway.wait_for_groups(1)
            deadline = time.monotonic() + TIMEOUT_S
            while not exporter._pushed:  # noqa: SLF001 - the gateway may have a push before its end
                assert time.monotonic() < deadline
                time.sleep(0.01)
            gateway.kill()
            exporter.close(TIMEOUT_S)
        assert logs[-1]["event"] == "the pushed metrics stay at the Pushgateway"

    def test_never_there(
        self, gateway: Pushgateway, export: Callable[..., PushgatewayExporter]
    ) -> None:
        """If nothing was ever pushed, the log does not say that metrics stay."""
        gateway.kill()
        with capture_logs() as logs:
            export(gateway.url).close(TIMEOUT_S)
        assert [line["event"] for line in logs] == [
            f"cannot push metrics to {gateway.url}, retrying"
        ]

    def test_hanging(self, export: Callable[..., PushgatewayExporter]) -> None:
        """A gateway that accepts connections but never answers delays the stop to its timeout."""
        with capture_logs() as logs:
            with socket.create_server(("127.0.0.1", 0)) as silent:
                exporter = export(f"http://127.0.0.1:{silent.getsockname()[1]}")
                connection, _ = silent.accept()
                with connection:
                    began = time.monotonic()
                    exporter.close(timeout=0.5)
                    # A push itself may take 30 s.
                    assert 0.4 < time.monotonic() - began < 20
                    assert logs == []
            exporter.close(TIMEOUT_S)  # it ends, because the connection is closed

    def test_refused(
        self,
        gateway: Pushgateway,
        export: Callable[..., PushgatewayExporter],
        registry: CollectorRegistry,
    ) -> None:
        """A metric whose type differs from another group's is refused; the log has the reason."""
        export(gateway.url)
        gateway.wait_for_groups(1)
        other = CollectorRegistry()
        Counter("tidemill_lag", "A counter.", registry=other)
        Gauge("tidemill_messages_total", "No counter.", registry=other)
        settings = MonitoringSettings(pushgateway_url=gateway.url, instance="there")
        with capture_logs() as logs:
            PushgatewayExporter(settings, JOB, other).start().close(TIMEOUT_S)
        (line,) = [line for line in logs if "cannot push" in line["event"]]
        assert "400 Bad Request" in line["error"]
        assert "tidemill_messages_total" in line["error"]


class TestSecured:
    """The gateway requires TLS with a private authority, a client certificate and a password."""

    @pytest.fixture
    def access(self, tmp_path: Path) -> dict[str, Any]:
        """The settings that the gateway requires."""
        files = issue_certificates(tmp_path / "certificates")
        return {
            "username": USER,
            "password": PASSWORD,
            "ca_file": files.ca,
            "keystore_file": files.keystore,
        }

    @pytest.fixture
    def secured(self, tmp_path: Path, access: dict[str, Any]) -> Iterator[Pushgateway]:
        """A Pushgateway that refuses everyone else."""
        server = str(tmp_path / "certificates" / "broker.pem")
        web = {
            "tls_server_config": {
                "cert_file": server,
                "key_file": server,
                "client_auth_type": "RequireAndVerifyClientCert",
                "client_ca_file": str(access["ca_file"]),
            },
            "basic_auth_users": {USER: HASHED},
        }
        by_requests = {
            "verify": str(access["ca_file"]),
            "cert": str(access["keystore_file"]),
            "auth": (USER, PASSWORD),
        }
        with Pushgateway(tmp_path / "secured", web, by_requests) as running:
            yield running

    def test_let_in(
        self,
        secured: Pushgateway,
        access: dict[str, Any],
        export: Callable[..., PushgatewayExporter],
    ) -> None:
        """With all of them, pushes and deletions are accepted."""
        exporter = export(secured.url, **access)
        secured.wait_for_groups(1)
        exporter.close(TIMEOUT_S)
        secured.wait_for_groups(0)

    @pytest.mark.parametrize(
        ("wrong", "said"),
        [
            ({"password": "guessed-by-me"}, "401 Unauthorized"),
            ({"username": None, "password": None}, "401 Unauthorized"),
            ({"ca_file": None}, "CERTIFICATE_VERIFY_FAILED"),
            ({"keystore_file": None}, "check pushgateway_ca_file and pushgateway_keystore_file"),
        ],
    )
    def test_kept_out(
        self,
        wrong: dict[str, Any],
        said: str,
        secured: Pushgateway,
        access: dict[str, Any],
        export: Callable[..., PushgatewayExporter],
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        """If any is missing or wrong, nothing is pushed; the log says why, without secrets."""
        for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
            monkeypatch.delenv(name, raising=False)
        with capture_logs() as logs:
            export(secured.url, **access | wrong).close(TIMEOUT_S)
        assert said in logs[0]["error"]
        assert not any(secret in str(logs) for secret in (PASSWORD, "guessed-by-me"))
        assert secured.groups() == []
