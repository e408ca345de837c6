"""What keeps a job from being deployed; each says what to do."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


class DeploymentError(Exception):
    """The job is not deployed as it was asked for."""


class VariablesMissing(DeploymentError):
    """The environment does not say enough."""

    def __init__(self, names: Iterable[str]) -> None:
        self.names = tuple(names)
        listed = ", ".join(self.names)
        super().__init__(f"set {listed} in the environment: see Databricks in README.md")


class VariableWrong(DeploymentError):
    """A variable has a value that cannot be."""

    def __init__(self, name: str, wanted: str) -> None:
        super().__init__(f"{name} must be {wanted}")


class SettingsWrong(DeploymentError):
    """The job would refuse settings that are passed on, or pass over them."""

    def __init__(self, problems: Iterable[str]) -> None:
        super().__init__(f"wrong settings of the job: {'; '.join(problems)}; README.md lists them")


class SecretInTheOpen(DeploymentError):
    """A secret would stand in the job's settings, where every reader of the job sees it."""

    def __init__(self, name: str) -> None:
        super().__init__(
            f"{name} is a secret: keep it in a Databricks secret scope and set {name} to "
            "'{{secrets/SCOPE/KEY}}'"
        )


class UnknownToTheApi(DeploymentError):
    """The template has what the Jobs API does not know, and would pass over."""

    def __init__(self, fields: Iterable[str]) -> None:
        super().__init__(
            f"the Jobs API knows no such field or value: {', '.join(fields)}; "
            "correct deploy/databricks/job.json"
        )


class SeveralJobs(DeploymentError):
    """The name tells no single job."""

    def __init__(self, name: str, ids: Iterable[int]) -> None:
        listed = ", ".join(str(job_id) for job_id in ids)
        super().__init__(f"several jobs are called {name}, with the ids {listed}: keep one of them")


class RunsGoOn(DeploymentError):
    """Cancelled runs did not end in time."""

    def __init__(self, ids: Iterable[int], seconds: float) -> None:
        listed = ", ".join(str(run_id) for run_id in sorted(ids))
        super().__init__(
            f"the cancelled runs {listed} did not end within {seconds:g} s; nothing was started: "
            "look at them in the workspace, then deploy again, or wait longer (--timeout)"
        )


class NotStarted(DeploymentError):
    """The job has its settings, and no run came of it."""

    def __init__(self, job_id: int, reason: str) -> None:
        super().__init__(f"the job {job_id} has its new settings, but no run started: {reason}")


class RequestFailed(DeploymentError):
    """The Jobs API refused a request, or did not answer."""

    def __init__(self, what: str, said: str) -> None:
        super().__init__(f"{what}: {said}")
