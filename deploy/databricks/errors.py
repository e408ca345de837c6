"""Errors of a deployment; each message says what to do."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


class DeploymentError(Exception):
    """The deployment failed."""


class VariablesMissing(DeploymentError):
    """Variables are not set in the environment."""

    def __init__(self, names: Iterable[str]) -> None:
        self.names = tuple(names)
        listed = ", ".join(self.names)
        super().__init__(f"set {listed} in the environment: see docs/deploy/databricks.md")


class VariableWrong(DeploymentError):
    """A variable has an invalid value."""

    def __init__(self, name: str, wanted: str) -> None:
        super().__init__(f"{name} must be {wanted}")


class SettingsWrong(DeploymentError):
    """The job would refuse or ignore some of the settings that the cluster would get."""

    def __init__(self, problems: Iterable[str]) -> None:
        listed = "; ".join(problems)
        super().__init__(f"wrong settings of the job: {listed}: see docs/configuration.md")


class SecretInTheOpen(DeploymentError):
    """A secret would be readable by everybody who can see the job."""

    def __init__(self, name: str) -> None:
        super().__init__(
            f"{name} is a secret: keep it in a Databricks secret scope and set {name} to "
            "'{{secrets/SCOPE/KEY}}'"
        )


class UnknownToTheApi(DeploymentError):
    """The template has fields or values that the Jobs API would ignore."""

    def __init__(self, fields: Iterable[str]) -> None:
        super().__init__(
            f"the Jobs API does not know these fields or values: {', '.join(fields)}; "
            "correct deploy/databricks/job.json"
        )


class SeveralJobs(DeploymentError):
    """Several jobs have the name."""

    def __init__(self, name: str, ids: Iterable[int]) -> None:
        listed = ", ".join(str(job_id) for job_id in ids)
        super().__init__(f"several jobs are called {name}, with the ids {listed}: keep only one")


class RunsNotEnded(DeploymentError):
    """Cancelled runs did not end in time."""

    def __init__(self, ids: Iterable[int], seconds: float) -> None:
        listed = ", ".join(str(run_id) for run_id in sorted(ids))
        super().__init__(
            f"the cancelled runs {listed} did not end within {seconds:g} s; nothing was started: "
            "check them in the workspace, then deploy again, or wait longer (--timeout)"
        )


class NotStarted(DeploymentError):
    """The job has its settings, but no run started."""

    def __init__(self, job_id: int, reason: str) -> None:
        super().__init__(f"the job {job_id} has its new settings, but no run started: {reason}")


class NoLogin(DeploymentError):
    """The SDK finds no workspace, or no way to log in."""

    def __init__(self, reason: str) -> None:
        super().__init__(
            f"cannot log in to a workspace: {reason}; set DATABRICKS_HOST and DATABRICKS_TOKEN, "
            "or another login of the SDK, or use --offline"
        )


class RequestFailed(DeploymentError):
    """The API refused a request, or did not answer."""

    def __init__(self, problem: str, reason: str) -> None:
        super().__init__(f"{problem}: {reason}")
