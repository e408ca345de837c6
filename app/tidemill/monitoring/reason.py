"""Why a request failed, in few words."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tidemill.errors import describe, root

if TYPE_CHECKING:
    import requests


def reason(error: requests.RequestException) -> str:
    """Return what an exception of requests is about, without the layers around it."""
    return describe(root(error))
