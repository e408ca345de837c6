"""Show or publish what a description of features says: arguments only."""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from deploy.databricks.deploy_job import seconds
from deploy.databricks.ending import ending, tell

if TYPE_CHECKING:
    from collections.abc import Sequence

# The secrets among the SDK's variables.
SECRETS = (
    "ARM_CLIENT_SECRET",
    "DATABRICKS_CLIENT_SECRET",
    "DATABRICKS_PASSWORD",
    "DATABRICKS_TOKEN",
    "GOOGLE_CREDENTIALS",
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return an exit code."""
    options = _options(arguments)
    return ending(
        "publish-features.sh",
        lambda: run(options),
        interrupted="run the command again to go on",
        secrets=[os.environ[name] for name in SECRETS if os.environ.get(name)],
        debug=options.debug,
    )


def run(options: argparse.Namespace) -> int:
    """Print the requests that are still to send, as JSON; send them if asked to.

    Raises:
        DeploymentError: The description is wrong, or the workspace refuses.

    """
    try:
        from deploy.databricks import workspace  # noqa: PLC0415 - a missing package has a remedy
        from deploy.databricks.features import description, publication  # noqa: PLC0415
    except ImportError as error:
        from deploy.databricks.features.errors import PackageMissing  # noqa: PLC0415

        raise PackageMissing(str(error), sys.executable) from error
    described = description.read(options.description)
    client = None if options.offline else workspace.client()
    warehouse = client.config.warehouse_id if client else None
    wanted = list(
        publication.resources(
            described, warehouse or publication.WAREHOUSE, refresh=options.refresh
        )
    )
    publishing = publication.Publication(client, workspace.Patience(tell), options.timeout)
    plan = publishing.plan(wanted)
    print(json.dumps(plan, indent=2))
    if options.apply:
        publication.check_warehouse(plan)
        publishing.bring(wanted)
    return 0


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="publish-features.sh",
        description="Publish feature tables on Databricks: create or change the tables, the online "
        "store with their copies, the feature spec and its endpoint. Without --apply, it only "
        "reads, and prints the requests that are still to send. "
        "See docs/deploy/databricks-features.md.",
    )
    parser.add_argument("description", type=Path, help="a file in YAML or JSON")
    mode = parser.add_mutually_exclusive_group()
    mode.add_argument(
        "--dry-run", action="store_true", help="print the requests, and send none: the default"
    )
    mode.add_argument(
        "--offline", action="store_true", help="a dry run for an empty workspace, without any"
    )
    mode.add_argument("--apply", action="store_true", help="print the requests, then send them")
    parser.add_argument(
        "--refresh",
        action="store_true",
        help="publish triggered and snapshot tables again, which copies their new rows",
    )
    parser.add_argument(
        "--timeout",
        type=seconds,
        default=1800,
        metavar="SECONDS",
        help="how long each part may take to become ready (default: %(default)s)",
    )
    parser.add_argument("--debug", action="store_true", help="print the traceback of a failure")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
