"""Refuse what pages of other web sites send through the browser of somebody who may use the server.

A browser sends such a request, of a form's type or without a body, without asking the server first.
The page cannot read the answer, but a task would run.

The site may even let its own name lead to this machine (DNS rebinding), so that the requests look
like those of the server's page. But it has no token then, and no certificate for HTTPS.
"""

from __future__ import annotations

import re
from ipaddress import ip_address
from typing import TYPE_CHECKING, Final

from tidemill.errors import OtherSite, UntrustedHost

if TYPE_CHECKING:
    from starlette.requests import Request

# Values of Sec-Fetch-Site: the server's own page, or a person who follows no link.
OWN: Final = {"same-origin", "none"}


def refuse_other_sites(request: Request, *, is_private: bool) -> None:
    """Refuse a request that a page of another site has sent; programs send none of these headers.

    A server `is_private` if only its machine's own users can reach it, and none needs a token.

    Raises:
        OtherSite: It has.
        UntrustedHost: It may have: the server is private, and any site can have the page's name.

    """
    site, origin = request.headers.get("sec-fetch-site"), request.headers.get("origin")
    if site is not None:  # sent to HTTPS and localhost only, where no other site has our name
        if site not in OWN:
            raise OtherSite
    elif origin is not None:
        scheme, _, host = origin.partition("://")
        if host != request.headers.get("host"):
            raise OtherSite
        if is_private and scheme != "https" and not _is_local(host):
            raise UntrustedHost(host)


def _is_local(host: str) -> bool:
    """Return whether no other site can have a host's name: it is an address, or localhost."""
    name = re.sub(r":\d+$", "", host).strip("[]")
    try:
        ip_address(name)
    except ValueError:
        return name == "localhost" or name.endswith(".localhost")
    return True
