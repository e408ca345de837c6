"""Run the tests of the server's alerts with promtool."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from dev.monitoring.dashboard import METRICS, metrics
from dev.monitoring.promtool import MONITORING, promtool

ALERTS, TESTS = MONITORING / "serving-alerts.yml", MONITORING / "serving-alerts_test.yml"
RULES: list[dict[str, Any]] = [
    rule for group in yaml.safe_load(ALERTS.read_text("utf-8"))["groups"] for rule in group["rules"]
]
EXPECTED: list[dict[str, Any]] = [
    expected
    for test in yaml.safe_load(TESTS.read_text("utf-8"))["tests"]
    for expected in test["alert_rule_test"]
]


class TestAlerts:
    """They fire when they should, and only then."""

    def test_all(self) -> None:
        """The rules are valid, and give the expected alerts."""
        promtool("check", "rules", "--lint=all", "--lint-fatal", ALERTS)
        promtool("test", "rules", TESTS)

    def test_names(self) -> None:
        """Rules use only metrics that exist."""
        assert {name for rule in RULES for name in metrics(rule["expr"])} <= METRICS

    @pytest.mark.parametrize("alert", [rule["alert"] for rule in RULES if "alert" in rule])
    def test_each(self, alert: str) -> None:
        """Each alert has a test in which it fires, and one in which it does not."""
        fires = {bool(each["exp_alerts"]) for each in EXPECTED if each["alertname"] == alert}
        assert fires == {True, False}
