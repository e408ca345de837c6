"""Refuse what pages of other web sites send through the browser of somebody who may use the server.

A browser sends such a request, of a form's type or without a body, without asking the server first.
The page cannot read the answer, but a task would run.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tidemill.errors import OtherSite

if TYPE_CHECKING:
    from starlette.requests import Request

# Values of Sec-Fetch-Site: the server's own page, or a person who follows no link.
OWN: Final = {"same-origin", "none"}


def refuse_other_sites(request: Request) -> None:
    """Refuse a request that a page of another site has sent; programs send none of these headers.

    Raises:
        OtherSite: It has.

    """
    site, origin = request.headers.get("sec-fetch-site"), request.headers.get("origin")
    if site is not None:
        is_own = site in OWN
    else:  # browsers leave it out without TLS
        is_own = origin is None or origin.partition("://")[2] == request.headers.get("host")
    if not is_own:
        raise OtherSite
