"""Options and functions that commands share."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from typing import Annotated, TypeVar

import typer
from rich.console import Console

from tidemill import logs, settings

Config = Annotated[
    Path | None,
    typer.Option(
        "--config", "-c", help="Settings, a YAML file. Default: ./config.yaml if it exists."
    ),
]
ProgramT = TypeVar("ProgramT", bound=settings.Program)
screen = Console(highlight=False)


def load(config: Path | None) -> settings.Settings:
    """Load all settings; see `load_program`."""
    return load_program(settings.Settings, config)


def load_program(program: type[ProgramT], config: Path | None) -> ProgramT:
    """Load the settings that a program needs, and configure the log with them.

    Raises:
        ConfigurationError: A setting is wrong.

    """
    loaded = settings.load_program(program, config)
    logs.configure(loaded.log.format, loaded.log.level)
    return loaded


@contextmanager
def models_on_stderr() -> Iterator[None]:
    """Send what models print to standard error, so that standard output has only results."""
    printed = sys.stdout
    printed.flush()
    results = os.dup(1)
    os.dup2(2, 1)  # what models in C print too
    try:
        with redirect_stdout(sys.stderr):
            yield
    finally:
        printed.flush()
        os.dup2(results, 1)
        os.close(results)
