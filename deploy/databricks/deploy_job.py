"""Deploy the job to a Databricks workspace, or print its settings: arguments only."""

from __future__ import annotations

import argparse
import json
import math
import os
import sys
from typing import TYPE_CHECKING, Any

from deploy.databricks.ending import ending, tell
from deploy.databricks.errors import DeploymentError, VariablesMissing
from deploy.databricks.passed_on import REFERENCE
from deploy.databricks.payload import fill_in

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

NEEDED = ("DATABRICKS_HOST", "DATABRICKS_API_TOKEN")
SECRET_VARIABLES = ("DATABRICKS_API_TOKEN", "REGISTRY_PASSWORD")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; print a failure as one line on standard error; return an exit code."""
    options = _options(arguments)
    return ending(
        "deploy-job.sh",
        lambda: run(options, os.environ),
        interrupted="deploy again to complete the deployment",
        secrets=_secrets(os.environ),
        debug=options.debug,
    )


def run(options: argparse.Namespace, environ: Mapping[str, str]) -> int:
    """Deploy the job and print the URL of its run, or print its settings.

    Raises:
        DeploymentError: It cannot be deployed.

    """
    needed = () if options.dry_run else NEEDED
    shown = _masked(environ) if options.dry_run else environ
    settings = _settings(shown, needed, continuous=options.continuous)
    if options.dry_run:
        print(json.dumps(settings, indent=2))
        return 0
    try:
        from deploy.databricks import deployment, workspace  # noqa: PLC0415 - a dry run needs none
    except ImportError as error:
        raise DeploymentError(
            f"{error}: install databricks-sdk for {sys.executable}, or set PYTHON"
        ) from error
    host, token = (environ[name].strip() for name in NEEDED)
    wanted = deployment.typed(settings)
    jobs = workspace.jobs_of(host, token)
    job = deployment.Deployment(jobs, workspace.Patience(tell), options.timeout)
    print(job.bring(wanted).run_page_url or host)
    return 0


def _settings(
    environ: Mapping[str, str], needed: Sequence[str], *, continuous: bool
) -> dict[str, Any]:
    """Return the job's settings; one error names all missing variables."""
    missing = [name for name in needed if not environ.get(name, "").strip()]
    try:
        settings = fill_in(environ, continuous=continuous)
    except VariablesMissing as error:
        others = [name for name in error.names if name.partition(" ")[0] not in missing]
        raise VariablesMissing([*missing, *others]) from None
    if missing:
        raise VariablesMissing(missing)
    return settings


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="deploy-job.sh",
        description="Create or update the job on Databricks, cancel its runs and start a new one. "
        "Environment variables configure it: see docs/deploy/databricks.md.",
    )
    parser.add_argument("--dry-run", action="store_true", help="print the job's settings as JSON")
    parser.add_argument(
        "--continuous",
        action="store_true",
        help="let Databricks keep one run going, without the task's own retries",
    )
    parser.add_argument(
        "--timeout",
        type=seconds,
        default=900,
        metavar="SECONDS",
        help="how long cancelled runs may take to end (default: %(default)s)",
    )
    parser.add_argument("--debug", action="store_true", help="print the traceback of a failure")
    return parser.parse_args(arguments)


def seconds(text: str) -> float:
    """Parse a time-out, which must be finite and not negative."""
    timeout = float(text)
    if not 0 <= timeout < math.inf:
        raise ValueError(text)  # argparse adds the option's name
    return timeout


def _secrets(environ: Mapping[str, str]) -> list[str]:
    """Return the secret values of the environment; a reference to a secret is not secret."""
    values = (environ.get(name, "").strip() for name in SECRET_VARIABLES)
    return [value for value in values if value and not REFERENCE.fullmatch(value)]


def _masked(environ: Mapping[str, str]) -> dict[str, str]:
    secrets = _secrets(environ)
    return {n: "***" if value.strip() in secrets else value for n, value in environ.items()}


if __name__ == "__main__":
    sys.exit(main())
