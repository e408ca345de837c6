"""Show or deploy the jobs that a description says: arguments only."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from deploy.databricks.ending import ending, tell
from deploy.databricks.publishing import add_modes, publish, secrets

if TYPE_CHECKING:
    from collections.abc import Sequence

PAGE = "docs/deploy/databricks-tasks.md"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return an exit code."""
    options = _options(arguments)
    return ending(
        "deploy-tasks.sh",
        lambda: run(options),
        interrupted="run the command again to go on",
        secrets=secrets(),
        debug=options.debug,
    )


def run(options: argparse.Namespace) -> int:
    """Print the requests that are still to send, as JSON; send them if asked to.

    Raises:
        DeploymentError: The description or a variable is wrong, or the workspace refuses.

    """
    try:
        from deploy.databricks.deployment import same_name  # noqa: PLC0415
        from deploy.databricks.features.description import read_as  # noqa: PLC0415
        from deploy.databricks.tasks import description, jobs  # noqa: PLC0415
    except ImportError as error:
        from deploy.databricks.features.errors import PackageMissing  # noqa: PLC0415

        raise PackageMissing(str(error), sys.executable) from error
    described = read_as(options.description, description.Description, PAGE)
    client = publish(options, lambda warehouse: jobs.resources(described, os.environ, warehouse))
    if client:
        for name in described.jobs:
            tell(f"job {name}: its `job_id` is {same_name(client.jobs, name)}")
    return 0


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="deploy-tasks.sh",
        description="Deploy jobs that run as tasks on Databricks, and the feature table of their "
        "results. Without --apply, it only reads, and prints the requests that are still to send. "
        f"Environment variables configure the cluster: see {PAGE}.",
    )
    parser.add_argument("description", type=Path, help="a file in YAML or JSON")
    add_modes(parser)
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
