"""How a command ends: an exit code, and a failure as one line on standard error."""

from __future__ import annotations

import sys
import traceback
from typing import TYPE_CHECKING

from deploy.databricks.errors import DeploymentError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

FAILED, INTERRUPTED = 1, 130


def ending(
    program: str,
    work: Callable[[], int],
    *,
    interrupted: str,
    secrets: Sequence[str] = (),
    debug: bool = False,
) -> int:
    """Do the work of a command; return its exit code.

    Args:
        program: The command's name, as users type it.
        work: Returns the exit code.
        interrupted: What to do after Ctrl+C.
        secrets: Texts that are not shown.
        debug: Whether to show the traceback of a failure.

    """
    try:
        return work()
    except KeyboardInterrupt:
        tell(f"interrupted: {interrupted}")
        return INTERRUPTED
    except Exception as error:  # noqa: BLE001 - the outermost handler
        known = isinstance(error, DeploymentError)
        message = str(error) if known else f"{type(error).__name__}: {error}"
        trace = traceback.format_exc() if debug else ""
        tell(f"{trace}{program}: {' '.join(message.split())}", secrets)
        return FAILED


def tell(line: str, secrets: Sequence[str] = ()) -> None:
    """Print a line on standard error, without secrets."""
    for secret in secrets:
        line = line.replace(secret, "***")
    print(line, file=sys.stderr)
