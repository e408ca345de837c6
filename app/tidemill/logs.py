"""Structured logs to standard error: for a person (console) or a machine (json)."""

from __future__ import annotations

import logging
import sys
from typing import TYPE_CHECKING, Any

import structlog

if TYPE_CHECKING:
    from collections.abc import MutableMapping

    from structlog.typing import Processor

# Libraries whose words say nothing to an operator, and are printed at level DEBUG only; there too
# not below INFO, where kafka-python tells its whole configuration, the password too.
QUIET = ("py4j", "kafka", "urllib3", "uvicorn", "numexpr")


def configure(log_format: str, level: str) -> None:
    """Send the records of structlog and of the standard library through one renderer.

    Tracebacks are printed at level DEBUG only. Otherwise an error is its message and its hint: two
    lines on the console, two fields in JSON.
    """
    shared: list[Processor] = [
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    if level == "DEBUG":
        shared.append(structlog.processors.format_exc_info)
    else:
        shared.append(_without_trace)
    renderer: Processor = (
        structlog.processors.JSONRenderer()
        if log_format == "json"
        else _Console(structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty()))
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
        )
    )
    logging.basicConfig(handlers=[handler], level=level, force=True)
    handler.addFilter(_is_ours if level != "DEBUG" else lambda _: True)
    for name in QUIET:
        logging.getLogger(name).setLevel("INFO" if level == "DEBUG" else "WARNING")
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelName(level)),
        cache_logger_on_first_use=True,
    )


class _Console:
    """Render a record as one line, and each of its problems and its hint as another."""

    def __init__(self, render: structlog.dev.ConsoleRenderer) -> None:
        self._render = render

    def __call__(self, logger: Any, method: str, event: MutableMapping[str, Any]) -> str:  # noqa: ANN401 - structlog's signature
        problems, hint = event.pop("problems", ()), event.pop("hint", None)
        lines = [self._render(logger, method, event), *(f"  - {each}" for each in problems)]
        return "\n".join([*lines, f"  hint: {hint}"] if hint else lines)


def _is_ours(record: logging.LogRecord) -> bool:
    """Tell what is for an operator; py4j also writes to the root logger."""
    by_py4j = record.name == "root" and "py4j" in record.pathname
    return not by_py4j and record.name.partition(".")[0] not in QUIET


def _without_trace(
    _logger: Any,  # noqa: ANN401 - structlog's signature
    _method: str,
    event: MutableMapping[str, Any],
) -> MutableMapping[str, Any]:
    event.pop("exc_info", None)
    return event
