"""Check the dashboard's file: Grafana can load it, and Prometheus can parse its queries."""

from __future__ import annotations

import itertools
import json
import re
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from dev.monitoring.dashboard import DASHBOARD, METRICS, SPARK_METRICS, metrics, panels, queries
from dev.monitoring.promtool import promtool

if TYPE_CHECKING:
    from pathlib import Path

SHOWN = [panel for panel in panels() if panel["type"] != "row"]
BUILT_IN = {"__rate_interval"}


def cells(panel: dict[str, Any]) -> set[tuple[int, int]]:
    """Return the cells of Grafana's grid (24 columns) that a panel covers."""
    place = panel["gridPos"]
    return set(
        itertools.product(
            range(place["x"], place["x"] + place["w"]), range(place["y"], place["y"] + place["h"])
        )
    )


class TestPanels:
    """Each panel has a place and describes itself."""

    def test_ids(self) -> None:
        """Panels have unique ids, and the queries of a panel unique letters."""
        ids = [panel["id"] for panel in panels()]
        assert len(ids) == len(set(ids))
        for panel in SHOWN:
            letters = [target["refId"] for target in panel["targets"]]
            assert len(letters) == len(set(letters)), panel["title"]

    def test_places(self) -> None:
        """No two panels overlap, and none is wider than the page."""
        covered = [cell for panel in panels() for cell in cells(panel)]
        assert len(covered) == len(set(covered))
        assert max(column for column, _ in covered) == 23

    @pytest.mark.parametrize("panel", SHOWN, ids=lambda panel: panel["title"])
    def test_described(self, panel: dict[str, Any]) -> None:
        """A panel has a title, a description, a unit and queries."""
        assert panel["title"]
        assert panel["description"].endswith(".")
        assert panel["fieldConfig"]["defaults"]["unit"]
        assert panel["targets"]

    @pytest.mark.parametrize("panel", SHOWN, ids=lambda panel: panel["title"])
    def test_source(self, panel: dict[str, Any]) -> None:
        """A panel and its queries use the selected data source."""
        for asking in (panel, *panel["targets"]):
            assert asking["datasource"] == {"type": "prometheus", "uid": "${datasource}"}


class TestQueries:
    """The queries are valid, and their metrics exist."""

    def test_parsed(self, tmp_path: Path) -> None:
        """Prometheus parses every query, here as the rules of a file."""
        rules = [
            {"record": f"query:{number}", "expr": query.expression}
            for number, query in enumerate(queries())
        ]
        assert len(rules) > len(SHOWN)
        file = tmp_path / "queries.yml"
        file.write_text(yaml.safe_dump({"groups": [{"name": "dashboard", "rules": rules}]}))
        promtool("check", "rules", file)

    def test_metrics(self) -> None:
        """Together they show every metric of the job, and no metric that does not exist."""
        asked = set().union(*(metrics(query.expression) for query in queries()))
        assert asked == METRICS | SPARK_METRICS

    def test_chosen(self) -> None:
        """Every metric of every query is limited to the selected job and instance."""
        for query in queries("a job", "an instance"):
            chosen = query.expression.count('{job=~"a job", instance=~"an instance"')
            named = len(re.findall(r"\b(?:tidemill|spark)_\w+", query.expression))
            assert chosen == named > 0, query
            assert "$" not in query.expression

    def test_variables(self) -> None:
        """Queries refer only to variables of the dashboard or of Grafana."""
        text = DASHBOARD.read_text(encoding="utf-8")
        defined = {one["name"] for one in json.loads(text)["templating"]["list"]}
        assert set(re.findall(r"\$\{?(\w+)", text)) - {"__all"} == defined | BUILT_IN
