"""A job of Databricks that has a schema."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from tidemill.tasks.databricks import DatabricksJob

if TYPE_CHECKING:
    from tidemill.tasks.report import Report


@dataclass
class Parameters:
    """A day, and regions."""

    date: str
    regions: list[str]


class Churn(DatabricksJob):
    """Runs a job that takes these parameters."""

    def run(self, parameters: Parameters, report: Report) -> dict[str, Any]:  # type: ignore[override]
        """Run it."""
        return super().run(asdict(parameters), report)
