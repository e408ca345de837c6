"""Compare JSON documents."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator


def lost(given: Any, kept: Any, at: str = "") -> Iterator[str]:  # noqa: ANN401 - JSON documents
    """Yield the places in a document whose values another does not have."""
    if isinstance(given, dict) and isinstance(kept, dict):
        for name, inner in given.items():
            yield from lost(inner, kept.get(name), f"{at}.{name}" if at else name)
    elif isinstance(given, list) and isinstance(kept, list) and len(given) == len(kept):
        for number, (one, other) in enumerate(zip(given, kept, strict=True)):
            yield from lost(one, other, f"{at}[{number}]")
    elif given != kept:
        yield at
