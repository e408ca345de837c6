"""Run the tests of the alerts with promtool: they fire when they should, and only then."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from dev.monitoring.dashboard import METRICS, metrics
from dev.monitoring.promtool import MONITORING, promtool

if TYPE_CHECKING:
    from pathlib import Path

CONFIGURATIONS = [MONITORING / "prometheus.yml", MONITORING.parent / "local/app/prometheus.yml"]
ALERTS, TESTS = MONITORING / "alerts.yml", MONITORING / "alerts_test.yml"
# The metrics of Prometheus and the Pushgateway themselves.
THEIRS = {"up", "push_time_seconds"}
# Alerts about only one of the two ways to read a job.
OF_ONE_WAY = {"TidemillTargetDown", "TidemillPushesStopped"}


def read(file: Path) -> dict[str, Any]:
    """Return the content of a YAML file."""
    document: dict[str, Any] = yaml.safe_load(file.read_text(encoding="utf-8"))
    return document


def rules(kind: str) -> list[dict[str, Any]]:
    """Return the rules of a kind: alert or record."""
    return [rule for group in read(ALERTS)["groups"] for rule in group["rules"] if kind in rule]


def firing(tests: list[dict[str, Any]], alert: str) -> list[bool]:
    """Return for each expectation of an alert whether it fires."""
    return [
        bool(expected["exp_alerts"])
        for test in tests
        for expected in test["alert_rule_test"]
        if expected["alertname"] == alert
    ]


def is_scraped(test: dict[str, Any]) -> bool:
    """Return whether a test is about a job that is only scraped."""
    names = {one["series"].partition("{")[0] for one in test["input_series"]}
    return "tidemill_info" in names and "push_time_seconds" not in names


def as_pushed(test: dict[str, Any]) -> dict[str, Any]:
    """Return the test of a scraped job with the labels of pushed metrics.

    The job pushes every minute; `0+60x100` is the time of the last push.
    """
    kept = [one for one in test["input_series"] if not one["series"].startswith("up{")]
    pushed = [
        one | {"series": re.sub('job="tidemill",instance="(.+?):9095"', rename, one["series"])}
        for one in kept
    ]
    instances = {re.findall('job=".+?",instance=".+?"', one["series"])[0] for one in pushed}
    clocks = [
        {"series": f"push_time_seconds{{{labels}}}", "values": "0+60x100"}
        for labels in sorted(instances)
    ]
    return test | {"input_series": pushed + clocks}


def rename(found: re.Match[str]) -> str:
    """Return the labels of a job's pushed metrics, with one group for each host."""
    return f'job="tidemill-{found[1]}",instance="{found[1]}"'


class TestFiles:
    """Prometheus can read the files."""

    @pytest.mark.parametrize("file", CONFIGURATIONS, ids=lambda file: file.parent.name)
    def test_configuration(self, file: Path) -> None:
        """Prometheus accepts the configurations, and the rules that they name."""
        promtool("check", "config", file)

    def test_rules(self) -> None:
        """Prometheus accepts the rules, which have no duplicates."""
        promtool("check", "rules", "--lint=all", "--lint-fatal", ALERTS)

    def test_names(self) -> None:
        """Rules use only metrics that exist."""
        asked = {
            name
            for kind in ("alert", "record")
            for rule in rules(kind)
            for name in metrics(rule["expr"])
        }
        assert asked <= METRICS | THEIRS
        assert "push_time_seconds" in asked

    @pytest.mark.parametrize("alert", rules("alert"), ids=lambda alert: alert["alert"])
    def test_annotations(self, alert: dict[str, Any]) -> None:
        """An alert has a severity, the job, the value and advice."""
        assert alert["labels"]["severity"] in {"warning", "critical"}
        assert "$labels." in alert["annotations"]["summary"]
        assert re.search(r"\$(value|labels)", alert["annotations"]["description"])


class TestAlerts:
    """Every alert is tested with scraped and with pushed metrics."""

    def test_scraped(self) -> None:
        """Scraped metrics give the expected alerts."""
        promtool("test", "rules", TESTS)

    def test_pushed(self, tmp_path: Path) -> None:
        """Pushed metrics give the same alerts."""
        document = read(TESTS)
        tests = [as_pushed(test) for test in document["tests"] if is_scraped(test)]
        for alert in {rule["alert"] for rule in rules("alert")} - OF_ONE_WAY:
            assert any(firing(tests, alert)), f"{alert} is not tested of a job that pushes"
        file = tmp_path / "pushed_test.yml"
        file.write_text(yaml.safe_dump(document | {"rule_files": [str(ALERTS)], "tests": tests}))
        promtool("test", "rules", file)

    @pytest.mark.parametrize("alert", [rule["alert"] for rule in rules("alert")])
    def test_each(self, alert: str) -> None:
        """Each alert has a test in which it fires, and one in which it does not."""
        assert set(firing(read(TESTS)["tests"], alert)) == {True, False}
