"""Run the tests of the alerts of the server, of the store and of long tasks with promtool."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from dev.monitoring.dashboard import METRICS, metrics
from dev.monitoring.promtool import MONITORING, promtool

NAMES = ("serving", "store", "task")


def read(file: str) -> dict[str, Any]:
    """Return the content of a file of rules or tests."""
    content: dict[str, Any] = yaml.safe_load((MONITORING / file).read_text("utf-8"))
    return content


def rules(name: str) -> list[dict[str, Any]]:
    """Return the rules of a file."""
    return [rule for group in read(f"{name}-alerts.yml")["groups"] for rule in group["rules"]]


ALERTS = [(name, rule["alert"]) for name in NAMES for rule in rules(name) if "alert" in rule]


class TestAlerts:
    """They fire when they should, and only then."""

    @pytest.mark.parametrize("name", NAMES)
    def test_all(self, name: str) -> None:
        """The rules are valid, and give the expected alerts."""
        alerts = MONITORING / f"{name}-alerts.yml"
        promtool("check", "rules", "--lint=all", "--lint-fatal", alerts)
        promtool("test", "rules", MONITORING / f"{name}-alerts_test.yml")

    @pytest.mark.parametrize("name", NAMES)
    def test_names(self, name: str) -> None:
        """Rules use only metrics that exist."""
        assert {used for rule in rules(name) for used in metrics(rule["expr"])} <= METRICS

    @pytest.mark.parametrize(("name", "alert"), ALERTS)
    def test_each(self, name: str, alert: str) -> None:
        """Each alert has a test in which it fires, and one in which it does not."""
        tests = read(f"{name}-alerts_test.yml")["tests"]
        expected = [each for test in tests for each in test["alert_rule_test"]]
        fires = {bool(each["exp_alerts"]) for each in expected if each["alertname"] == alert}
        assert fires == {True, False}
