"""Log the traceback of each kind of model failure once, for the model's author."""

from __future__ import annotations

import logging
import re
from typing import TYPE_CHECKING

from tidemill.errors import trace

if TYPE_CHECKING:
    from tidemill.errors import MessageError

# Workers configure no logging, so the standard library's default prints it to standard error.
log = logging.getLogger(__name__)

MAX_KINDS = 100
_logged: set[tuple[str, str, str]] = set()


def log_once(model: str, error: MessageError) -> None:
    """Log the traceback of the exception behind an error.

    A kind is the model, the exception's type and the line that raised it. A process logs each kind
    once, and at most `MAX_KINDS` kinds. An error without a cause has no traceback to log.
    """
    if error.__cause__ is None or len(_logged) >= MAX_KINDS:
        return
    text = trace(error.__cause__)
    *_, line = re.findall(r'(?m)^ *File (".*", line \d+)', text) or [""]
    kind = model, str(error).partition(":")[0], line
    if kind not in _logged:
        _logged.add(kind)
        log.warning(
            "model %s failed on an input (each process logs each kind of failure once):\n%s",
            model,
            text,
        )
