"""What the commands that publish share: their modes, and a plan before each change."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

from deploy.databricks.deploy_job import seconds
from deploy.databricks.ending import tell

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Iterable

    from databricks.sdk import WorkspaceClient

    from deploy.databricks.features.requests import Resource

# The secrets among the SDK's variables.
SECRETS = (
    "ARM_CLIENT_SECRET",
    "DATABRICKS_CLIENT_SECRET",
    "DATABRICKS_PASSWORD",
    "DATABRICKS_TOKEN",
    "GOOGLE_CREDENTIALS",
)


def secrets() -> list[str]:
    """Return the secrets of the environment, which are not shown."""
    return [os.environ[name] for name in SECRETS if os.environ.get(name)]


def add_modes(parser: argparse.ArgumentParser) -> None:
    """Add the options that say whether anything is sent."""
    mode = parser.add_mutually_exclusive_group()
    mode.add_argument(
        "--dry-run", action="store_true", help="print the requests, and send none: the default"
    )
    mode.add_argument(
        "--offline", action="store_true", help="a dry run for an empty workspace, without any"
    )
    mode.add_argument("--apply", action="store_true", help="print the requests, then send them")
    parser.add_argument(
        "--timeout",
        type=seconds,
        default=1800,
        metavar="SECONDS",
        help="how long each part may take to become ready (default: %(default)s)",
    )
    parser.add_argument("--debug", action="store_true", help="print the traceback of a failure")


def publish(
    options: argparse.Namespace, resources: Callable[[str], Iterable[Resource[Any]]]
) -> WorkspaceClient | None:
    """Print the requests that are still to send, as JSON; send them if asked to.

    Return a client of the workspace if they were sent.

    Args:
        options: What `add_modes` added.
        resources: Returns what is published, given the id of a SQL warehouse.

    """
    from deploy.databricks import workspace  # noqa: PLC0415 - a missing package has a remedy
    from deploy.databricks.features import publication  # noqa: PLC0415

    client = None if options.offline else workspace.client()
    warehouse = client.config.warehouse_id if client else None
    wanted = list(resources(warehouse or publication.WAREHOUSE))
    publishing = publication.Publication(client, workspace.Patience(tell), options.timeout)
    plan = publishing.plan(wanted)
    print(json.dumps(plan, indent=2))
    if options.apply:
        publication.check_warehouse(plan)
        publishing.bring(wanted)
    return client if options.apply else None
