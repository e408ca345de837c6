"""Describe briefly why a request failed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tidemill.errors import describe, root

if TYPE_CHECKING:
    import requests


def reason(error: requests.RequestException) -> str:
    """Describe the root cause of an exception of requests, without the layers around it."""
    return describe(root(error))
