"""Run the streaming job as a program, from spark-submit or the command line.

Exit codes: 0, the job was asked to stop, or processed everything; 1, a fault that a restart may
fix; 2, a wrong configuration, which a restart cannot fix; 130, interrupted during a stop.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

import structlog

from tidemill import extras, logs, settings
from tidemill.errors import TidemillError, describe, log_fields

if TYPE_CHECKING:
    from tidemill.errors.base import Kind

EXIT_CODES: dict[Kind, int] = {"fault": 1, "message": 1, "configuration": 2}
INTERRUPTED = 130

log = structlog.get_logger(__name__)


def stream(config: Path | None) -> int:
    """Run the job; return its exit code.

    Log a failure as one line; its traceback appears at level DEBUG only.
    """
    logs.configure("console", "INFO")
    try:
        loaded = settings.load(config)
        logs.configure(loaded.log.format, loaded.log.level)
        with extras.required():
            from tidemill.bootstrap import stream as program  # noqa: PLC0415 - Spark, only now

        program.stream(loaded)
    except KeyboardInterrupt:
        log.warning("interrupted; the next run will reprocess the current micro-batch")
        return INTERRUPTED
    except Exception as error:  # noqa: BLE001 - the outermost place: every error ends here
        return report(error)
    return 0


def serve(config: Path | None) -> int:
    """Run the server; return its exit code. Log a failure as one line."""
    logs.configure("console", "INFO")
    try:
        loaded = settings.load_program(settings.ServeProgram, config)
        logs.configure(loaded.log.format, loaded.log.level)
        with extras.required():
            from tidemill.bootstrap import serve as program  # noqa: PLC0415 - only now

        program.serve(loaded)
    except KeyboardInterrupt:
        return INTERRUPTED
    except Exception as error:  # noqa: BLE001 - the outermost place: every error ends here
        return report(error)
    return 0


def report(error: Exception) -> int:
    """Log an error's message and hint; return its exit code."""
    message = error.message if isinstance(error, TidemillError) else describe(error)
    log.error(message, **log_fields(error), error=type(error).__name__, exc_info=error)
    return exit_code(error)


def exit_code(error: Exception) -> int:
    """Return the exit code of an error by its kind."""
    return EXIT_CODES[error.kind if isinstance(error, TidemillError) else "fault"]


def main() -> int:
    """Parse the arguments of spark-submit and run the job."""
    parser = argparse.ArgumentParser(description="Run Tidemill's streaming job.")
    parser.add_argument("--config", type=Path, help="the settings file (YAML)")
    return stream(parser.parse_args().config)
