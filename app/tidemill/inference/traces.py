"""Log the traceback of each kind of model failure once, so that the model's author can mend it."""

from __future__ import annotations

import logging
import re
from typing import TYPE_CHECKING

from tidemill.errors import trace

if TYPE_CHECKING:
    from tidemill.errors import MessageError

# Workers configure no logging: there it reaches standard error by the standard library's default.
log = logging.getLogger(__name__)

MAX_KINDS = 100
_seen: set[tuple[str, str, str]] = set()


def log_once(model: str, error: MessageError) -> None:
    """Log what a model raised, with its frames.

    A kind is the model, the exception's type and the line that raised it. Each is logged once in a
    process, and no more than `MAX_KINDS` in all. An error without a cause has no traceback.
    """
    if error.__cause__ is None or len(_seen) >= MAX_KINDS:
        return
    text = trace(error.__cause__)
    *_, line = re.findall(r'(?m)^ *File (".*", line \d+)', text) or [""]
    kind = model, str(error).partition(":")[0], line
    if kind not in _seen:
        _seen.add(kind)
        log.warning("model %s fails on an input (logged once for each kind):\n%s", model, text)
