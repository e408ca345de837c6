"""Describe bytes for JSON, which has only text."""

from __future__ import annotations

import base64


def readable(name: str, content: bytes | None) -> dict[str, str | None]:
    """Return a field with bytes as text, or as base64 under `<name>_base64` if not UTF-8."""
    try:
        return {name: None if content is None else content.decode()}
    except UnicodeDecodeError:
        return {f"{name}_base64": base64.b64encode(content or b"").decode()}
