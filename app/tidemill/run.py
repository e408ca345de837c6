"""The streaming job as a program: settings in, an exit code out. spark-submit's entry.

Exit codes: 0, it was asked to stop, or everything there was is answered; 1, a fault that a restart
may mend; 2, a wrong configuration, which a restart cannot; 130, interrupted in the midst of a stop.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import structlog

from tidemill import extras, logs, settings
from tidemill.errors import ConfigurationError, TidemillError, describe

FAULT, MISCONFIGURED, INTERRUPTED = 1, 2, 130

log = structlog.get_logger(__name__)


def stream(config: Path | None) -> int:
    """Run the job; return its exit code. A failure is one line, its trace at level DEBUG."""
    logs.configure("console", "INFO")
    try:
        loaded = settings.load(config)
        logs.configure(loaded.log.format, loaded.log.level)
        with extras.required():
            from tidemill import bootstrap  # noqa: PLC0415 - reports wrong settings without Spark

        bootstrap.stream(loaded)
    except KeyboardInterrupt:
        log.warning("interrupted: the next run repeats the micro-batch that ran")
        return INTERRUPTED
    except Exception as error:  # noqa: BLE001 - the outermost place, where every error ends
        return report(error)
    return 0


def report(error: Exception) -> int:
    """Log an error's message and hint; return its exit code."""
    if isinstance(error, TidemillError):
        message, hint = error.message, error.hint
    else:
        message, hint = describe(error), ""
    fields = {"hint": hint} if hint else {}
    log.error(message, **fields, kind=type(error).__name__, exc_info=error)
    return exit_code(error)


def exit_code(error: Exception) -> int:
    """Tell a wrong configuration from a fault."""
    return MISCONFIGURED if isinstance(error, ConfigurationError) else FAULT


def main() -> int:
    """Read the command line of spark-submit."""
    parser = argparse.ArgumentParser(description="Run Tidemill's streaming job.")
    parser.add_argument("--config", type=Path, help="settings, a YAML file")
    return stream(parser.parse_args().config)
