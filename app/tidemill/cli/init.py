"""`tidemill init`."""

from __future__ import annotations

import shlex
import shutil
import sys
from pathlib import Path
from typing import Annotated

import typer

from tidemill.cli.options import screen


def init(
    name: Annotated[Path, typer.Argument(help="A folder that does not exist yet, as `sentiment`.")],
) -> None:
    """Create a folder with a model of your own: class, entry, messages, test, Dockerfile."""
    from tidemill.scaffold import create

    create(name)
    python, tidemill = _command("python"), _command("tidemill")
    screen.print(f"created {name}. Next:\n")
    for command in (
        f"cd {shlex.quote(str(name))} && {python} -m unittest",
        f"{tidemill} predict < messages.jsonl",
        f"{tidemill} serve    # answers over HTTP and gRPC, with the extra `serve`",
        f"{tidemill} check    # needs a Kafka broker; prints a command for each missing topic",
        f"{tidemill} stream",
    ):
        screen.print(f"  {command}", markup=False, soft_wrap=True)


def _command(program: str) -> str:
    """Return a program of this environment: its name if the shell finds it so, or its path."""
    own = Path(sys.executable).with_name(program)
    on_path = shutil.which(program)
    return program if on_path and Path(on_path) == own else shlex.quote(str(own))
