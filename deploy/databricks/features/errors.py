"""Errors of publishing features; each message says what to do."""

from __future__ import annotations

from typing import TYPE_CHECKING

from deploy.databricks.errors import DeploymentError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path


class DescriptionWrong(DeploymentError):
    """The description cannot be read, or has wrong values."""

    def __init__(self, path: Path, problems: Iterable[str], page: str) -> None:
        listed = "; ".join(problems)
        super().__init__(f"{path}: {listed}: see {page}")


class NoWarehouse(DeploymentError):
    """A table needs SQL, which needs a warehouse."""

    def __init__(self, table: str) -> None:
        super().__init__(
            f"{table} is created and changed by SQL: set DATABRICKS_WAREHOUSE_ID to the id of a "
            "SQL warehouse"
        )


class PackageMissing(DeploymentError):
    """A package is missing, or the SDK is too old to know feature specs."""

    def __init__(self, reason: str, python: str) -> None:
        super().__init__(
            f"{reason}: install databricks-sdk 0.161 or later and pydantic for {python}, or set "
            "PYTHON"
        )


class Differs(DeploymentError):
    """Something of the name exists, and cannot become what is described without a loss."""

    def __init__(self, what: str, problems: Iterable[str], remedy: str) -> None:
        listed = "; ".join(problems)
        super().__init__(f"{what} is different: {listed}. Nothing was changed: {remedy}")


class StatementFailed(DeploymentError):
    """The warehouse could not run a statement."""

    def __init__(self, statement: str, reason: str) -> None:
        super().__init__(f"{statement.partition('(')[0].strip()} failed: {reason}")


class NotReady(DeploymentError):
    """Something did not become ready in time."""

    def __init__(self, what: str, state: str, seconds: float) -> None:
        super().__init__(
            f"{what} was not ready within {seconds:g} s, but {state}: run the command again to "
            "go on, or wait longer (--timeout)"
        )


class Broken(DeploymentError):
    """Something exists, and does not work."""

    def __init__(self, what: str, state: str) -> None:
        super().__init__(f"{what} does not work: {state}: see its page in the workspace")
