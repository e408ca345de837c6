"""Tell URIs from paths, and hide the secrets in URIs."""

from __future__ import annotations

import re

URI = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:/")
# Up to the last @, because a password may contain one.
_USER = re.compile(r"(?<=://)[^/\s]+(?=@)")
_QUERY = re.compile(
    r"([?&;][^=&;\s]*(?:sig|token|key|secret|passw|credential)[^=&;\s]*=)[^&\s]+", re.IGNORECASE
)


def redact(text: str) -> str:
    """Return a text in which `***` replaces the users, passwords and keys of its URIs."""
    return _QUERY.sub(r"\1***", _USER.sub("***", text))
