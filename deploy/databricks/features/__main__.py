"""Show or publish what a description of features says: arguments only."""

from __future__ import annotations

import argparse
import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from deploy.databricks.ending import ending
from deploy.databricks.publishing import add_modes, publish, secrets

if TYPE_CHECKING:
    from collections.abc import Sequence


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return an exit code."""
    options = _options(arguments)
    return ending(
        "publish-features.sh",
        lambda: run(options),
        interrupted="run the command again to go on",
        secrets=secrets(),
        debug=options.debug,
    )


def run(options: argparse.Namespace) -> int:
    """Print the requests that are still to send, as JSON; send them if asked to.

    Raises:
        DeploymentError: The description is wrong, or the workspace refuses.

    """
    try:
        from deploy.databricks.features import description, publication  # noqa: PLC0415
    except ImportError as error:
        from deploy.databricks.features.errors import PackageMissing  # noqa: PLC0415

        raise PackageMissing(str(error), sys.executable) from error
    described = description.read(options.description)
    publish(options, partial(publication.resources, described, refresh=options.refresh))
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
    add_modes(parser)
    parser.add_argument(
        "--refresh",
        action="store_true",
        help="publish triggered and snapshot tables again, which copies their new rows",
    )
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
