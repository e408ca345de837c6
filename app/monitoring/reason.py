"""Why a request failed, in few words."""

from __future__ import annotations

from typing import TYPE_CHECKING

from app.errors import describe

if TYPE_CHECKING:
    import requests


def reason(error: requests.RequestException) -> str:
    """Return what an exception of requests is about, without the layers around it."""
    cause: BaseException = error
    while cause.__context__ is not None:
        cause = cause.__context__
    return describe(cause)
