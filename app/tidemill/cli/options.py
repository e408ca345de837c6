"""Options and functions that commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from tidemill import logs, settings

Config = Annotated[
    Path | None,
    typer.Option(
        "--config", "-c", help="Settings, a YAML file. Default: ./config.yaml if it exists."
    ),
]
screen = Console(highlight=False)


def load(config: Path | None) -> settings.Settings:
    """Load the settings, and configure the log with them.

    Raises:
        ConfigurationError: A setting is wrong.

    """
    loaded = settings.load(config)
    logs.configure(loaded.log.format, loaded.log.level)
    return loaded
