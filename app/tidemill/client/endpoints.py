"""Read the addresses of servers."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass, replace
from urllib.parse import urlsplit

from tidemill.errors import InvalidEndpoint, TokenExposed

# The ports of `tidemill serve`, but for https, whose port is a proxy's.
PORTS = {"http": 8080, "https": 443, "grpc": 8081, "grpcs": 8081}
EACH_ADDRESS = "dns+"


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A server; `name` is what its certificate and its proxy know it by.

    If `is_group`, the host is a name whose addresses are servers of their own.
    """

    scheme: str
    host: str
    port: int
    name: str
    is_group: bool = False

    @property
    def address(self) -> str:
        """Return host and port."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def url(self) -> str:
        """Return the address with the scheme: this identifies the server."""
        return f"{self.scheme}://{self.address}"

    @property
    def is_encrypted(self) -> bool:
        """Tell whether others on the network cannot read requests."""
        return self.scheme in {"https", "grpcs"}

    @property
    def is_local(self) -> bool:
        """Tell whether requests stay on this machine."""
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return self.host == "localhost"

    def at(self, host: str) -> Endpoint:
        """Return the server at one of the addresses of a group."""
        return replace(self, host=host, is_group=False)


def parse(urls: str | Iterable[str]) -> tuple[Endpoint, ...]:
    """Return the servers of one or several URLs, each once.

    Raises:
        InvalidEndpoint: A URL is not that of a server, or there is none.
        TypeError: A URL is not text.

    """
    listed = [urls] if isinstance(urls, str) else urls
    if not isinstance(listed, Iterable):
        raise TypeError(f"`servers` must be a URL or several, not {type(urls).__name__}")
    listed = list(listed)
    for each in listed:
        if not isinstance(each, str):
            raise TypeError(f"the URL of a server must be text, not {type(each).__name__}")
    if not listed:
        raise InvalidEndpoint("", "the list is empty")
    return tuple(dict.fromkeys(map(_parse, listed)))


def _parse(url: str) -> Endpoint:
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise InvalidEndpoint(url, error) from None
    scheme = parts.scheme.removeprefix(EACH_ADDRESS)
    host = parts.hostname
    if scheme not in PORTS:
        raise InvalidEndpoint(url, f"the scheme must be one of {', '.join(PORTS)}")
    if not host or "@" in parts.netloc:
        raise InvalidEndpoint(url, "it must have a host, and no user")
    if parts.path not in {"", "/"} or parts.query or parts.fragment:
        raise InvalidEndpoint(url, "it has a path, but only a request has one")
    is_group = parts.scheme.startswith(EACH_ADDRESS)
    return Endpoint(scheme, host, PORTS[scheme] if port is None else port, host, is_group)


def check_token(endpoints: Iterable[Endpoint]) -> None:
    """Check that a token reaches servers encrypted, or without leaving this machine.

    Raises:
        TokenExposed: It does not.

    """
    for each in endpoints:
        if not each.is_encrypted and not each.is_local:
            raise TokenExposed(each.url)
