"""The job, watched by a real Prometheus: scraped, and through a real Pushgateway."""

from __future__ import annotations

import json
import math
import os
import signal
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest
import requests

from dev.kafka.ports import free_ports
from dev.monitoring.dashboard import SERVE_METRICS, metrics, queries
from dev.monitoring.servers import Prometheus, Pushgateway
from dev.pipeline.pipeline import message, quick_spark

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from dev.pipeline.job_process import JobProcess
    from dev.pipeline.pipeline import Pipeline

Series = set[tuple[tuple[str, str], ...]]


@dataclass(frozen=True, slots=True)
class Watched:
    """A pipeline whose job is scraped by a Prometheus, directly and through a Pushgateway."""

    pipeline: Pipeline
    gateway: Pushgateway
    prometheus: Prometheus
    port: int

    @property
    def job(self) -> str:
        """The label `job` of what is pushed."""
        return f"tidemill-{self.pipeline.source}"

    @contextmanager
    def run(self) -> Iterator[JobProcess]:
        """Run the job."""
        spark = {**quick_spark(), "spark.ui.enabled": "true", "spark.ui.port": "0"}
        environment = self.pipeline.environment(
            "Upper",
            SPARK=json.dumps(spark),
            MONITORING__METRICS_PORT=str(self.port),
            MONITORING__PUSHGATEWAY_URL=self.gateway.url,
            MONITORING__PUSHGATEWAY_INTERVAL="0.5",
        )
        with self.pipeline.program(environment) as program:
            yield program

    def send(self, good: int, bad: int) -> None:
        """Send messages to the job."""
        self.pipeline.produce(
            *(message(number) for number in range(good)), *[{"value": b"junk"}] * bad
        )

    def series(self) -> Series:
        """Return the names and labels of all that is pushed, as Prometheus has them."""
        pushed = f'{{job="{self.job}", __name__=~"(tidemill|spark)_.+"}}'
        # A scrape that took too long leaves nothing; the next one brings all of them back.
        return {tuple(sorted(labels.items())) for labels, _ in self.prometheus.wait_for(pushed)}


@pytest.fixture
def watched(
    pipeline: Pipeline, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Watched]:
    """A pipeline, watched; no proxy stands between what runs on this machine."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    (port,) = free_ports(1)
    with (
        Pushgateway(tmp_path / "gateway") as gateway,
        Prometheus(tmp_path / "prometheus", gateway.url, f"127.0.0.1:{port}") as prometheus,
    ):
        yield Watched(pipeline, gateway, prometheus, port)


class TestMonitoring:
    """What an operator sees is what happened."""

    def test_two_runs(self, watched: Watched) -> None:
        """Counts are right; names and labels are the same in two runs; a clean stop leaves none.

        Every query of the dashboard has an answer, and the probes say that all is well.
        """
        of_job = f'{{job="{watched.job}"}}'
        expect = watched.prometheus.wait_for
        seen: list[Series] = []
        for run in range(2):
            with watched.run() as program:
                program.wait_for("stream started")
                for burst in (1, 2):
                    watched.send(40, 10)
                    expect(f"tidemill_messages_total{of_job} == {50 * burst}")
                expect(f"sum(tidemill_results_total{of_job}) == 80")
                dead_letters = f'{{error="InvalidJson", job="{watched.job}"}}'
                expect(f"sum(tidemill_dead_letters_total{dead_letters}) == 20")
                expect(f"tidemill_ready{of_job} == 1")
                expect(f"sum(tidemill_lag_messages{of_job}) == 0")
                seen.append(watched.series())
                if run == 0:
                    self.every_panel_has_data(watched)
                    self.probes_are_content(watched)
                program.process.send_signal(signal.SIGTERM)
                assert program.wait() == 0, program.output
            watched.gateway.wait_for_groups(0)
            assert "cannot" not in program.output, program.output
        assert seen[0] == seen[1]
        assert {dict(labels)["instance"] for labels in seen[0]} == {os.uname().nodename}
        names = {dict(labels)["__name__"] for labels in seen[0]}
        assert {"tidemill_latency_seconds_bucket", "spark_executor_totalCores"} <= names
        refused = watched.prometheus.query('pushgateway_http_requests_total{code=~"[45].."}')
        assert sum(value for _, value in refused) == 0

    @staticmethod
    def every_panel_has_data(watched: Watched) -> None:
        """Ask what Grafana would, for the job as it is pushed."""
        for query in queries(job=watched.job, rate_interval="10m"):
            if metrics(query.expression) <= SERVE_METRICS:
                continue  # of a server, which this job is not
            found = watched.prometheus.wait_for(query.expression)
            assert not all(math.isnan(value) for _, value in found), query

    @staticmethod
    def probes_are_content(watched: Watched) -> None:
        """Ask as Kubernetes would: over HTTP, and by a command within the container."""
        for path in ("healthz", "readyz"):
            answer = requests.get(f"http://127.0.0.1:{watched.port}/{path}", timeout=120)
            assert (answer.status_code, answer.text) == (200, "ok\n")
        settings = {
            "TIDEMILL__MONITORING__METRICS_PORT": str(watched.port),
            "TIDEMILL__STREAM__GROUP_ID": watched.pipeline.source,
        }
        with watched.pipeline.program(settings, "health", "--ready") as probe:
            assert probe.wait() == 0, probe.output
