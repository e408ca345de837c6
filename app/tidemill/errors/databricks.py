"""Define the errors of jobs that run on Databricks."""

from __future__ import annotations

from tidemill.errors.base import ConfigurationError, TidemillError


class DatabricksLoginFailed(ConfigurationError):
    """The SDK finds no workspace, or no way to log in."""

    def __init__(self, reason: str) -> None:
        super().__init__(
            f"cannot log in to Databricks: {reason}",
            "Set DATABRICKS_HOST and DATABRICKS_TOKEN for the worker, or another login of "
            "databricks-sdk.",
        )


class DatabricksRequestFailed(TidemillError):
    """Databricks refused a request, or did not answer for long."""

    def __init__(self, problem: str, reason: str) -> None:
        super().__init__(
            f"{problem}: {reason}",
            "Check `job_id`, the login, and its permission on the job, which is CAN MANAGE RUN.",
        )


class DatabricksRunFailed(TidemillError):
    """A run of Databricks ended without success."""

    def __init__(self, run_id: int, code: str, message: str, hint: str) -> None:
        super().__init__(f"the Databricks run {run_id} ended as {code}: {message}", hint)


class DatabricksOutputTruncated(TidemillError):
    """A run of Databricks has more output than its API returns."""

    def __init__(self, run_id: int) -> None:
        super().__init__(
            f"the output of the Databricks run {run_id} is too long, and was cut",
            "Let the notebook write a file or a table, and return its name.",
        )
