"""Requests of web pages: those of other sites are refused, also if their name leads here."""

from __future__ import annotations

import pytest
from starlette.requests import Request

from tidemill.errors import MessageError, OtherSite, UntrustedHost
from tidemill.serving.http_origin import refuse_other_sites


def refused(*, is_private: bool, **headers: str) -> type[MessageError] | None:
    """Return the error for a request with some headers."""
    sent = [(name.replace("_", "-").encode(), text.encode()) for name, text in headers.items()]
    try:
        refuse_other_sites(Request({"type": "http", "headers": sent}), is_private=is_private)
    except MessageError as error:
        return type(error)
    return None


class TestRebinding:
    """A page whose name was made to lead to this machine sends an Origin that is also the Host."""

    @pytest.mark.parametrize(
        "host",
        [
            "evil.example",
            "evil.example:8080",
            "localhost.evil.example:8080",
            "127.0.0.1.nip.io",
            "[",
        ],
    )
    def test_name(self, host: str) -> None:
        """Any name of DNS may be another site's, unless a token or the network keeps that out."""
        sent = {"origin": f"http://{host}", "host": host}
        assert refused(is_private=True, **sent) is UntrustedHost
        assert refused(is_private=False, **sent) is None

    @pytest.mark.parametrize(
        "host", ["127.0.0.1:8080", "[::1]:8080", "[::1]", "10.0.0.7", "localhost", "a.localhost:80"]
    )
    def test_local(self, host: str) -> None:
        """Addresses and localhost come from no DNS, so the page is the server's own."""
        assert refused(is_private=True, origin=f"http://{host}", host=host) is None

    @pytest.mark.parametrize("site", [{}, {"sec_fetch_site": "same-origin"}])
    def test_proxy(self, site: dict[str, str]) -> None:
        """A page of a proxy with HTTPS may have any name; other sites have no certificate."""
        host = "models.example.com"
        assert refused(is_private=True, origin=f"https://{host}", host=host, **site) is None

    def test_program(self) -> None:
        """A program may use any name, also through a proxy."""
        assert refused(is_private=True, host="models.example.com") is None

    @pytest.mark.parametrize("is_private", [True, False])
    def test_other_site(self, is_private: bool) -> None:
        """A page whose name does not lead here is refused, whatever keeps others out."""
        for sent in ({"origin": "https://evil.example"}, {"sec_fetch_site": "cross-site"}):
            assert refused(is_private=is_private, host="localhost", **sent) is OtherSite
