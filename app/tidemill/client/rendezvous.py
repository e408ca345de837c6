"""Order servers for a model."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


def ordered(model: str, servers: Iterable[str]) -> list[str]:
    """Return servers in a model's own order, the same in every process.

    Each server draws a number for the model, and the greatest comes first: rendezvous hashing
    (Thaler and Ravishankar, 1998). Requests for one model meet on one server, where they fill
    batches. If a server goes, only its models move, each to the next server in its order.
    """
    return sorted(servers, key=lambda server: _draw(model, server), reverse=True)


def _draw(model: str, server: str) -> bytes:
    """Return a hash (BLAKE2b, RFC 7693); texts that follow one another could be split elsewhere."""
    key = hashlib.blake2b(server.encode()).digest()
    return hashlib.blake2b(model.encode(), digest_size=16, key=key).digest()
