"""A DNS name stands for servers that come and go."""

from __future__ import annotations

import asyncio
import socket
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest
import server_process
from certificate import write_certificate
from pool_processes import wait_until
from scripted_server import ScriptedServer

from tidemill.client import Client, discovery
from tidemill.errors import CannotConnect, RequestTimedOut, UntrustedServer

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from server_process import Server

NAME, MODELS = "models.test", [f"m{n}" for n in range(20)]
TIMEOUT = 120.0


@pytest.fixture
def addresses(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return the addresses of the name, which a test may change: there is no DNS server here."""
    known = ["127.0.0.1"]
    real = socket.getaddrinfo

    def getaddrinfo(host: str, port: int, *args: Any, **options: Any) -> list[Any]:  # noqa: ANN401
        if host != NAME:
            return real(host, port, *args, **options)
        if not known:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return [found for each in known for found in real(each, port, *args, **options)]

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    return known


@contextmanager
def replicas() -> Iterator[tuple[ScriptedServer, ScriptedServer]]:
    """Run two servers with one port and different addresses."""
    with ScriptedServer() as one, ScriptedServer(host="127.0.0.2", port=one.port) as other:
        yield one, other


def ask_all(client: Client) -> None:
    """Ask for every model."""
    for model in MODELS:
        assert client.predict(model, ["a"])[0].output == "a"


def test_appears(addresses: list[str]) -> None:
    """A server that appears gets its models without a restart."""
    with replicas() as (one, other), Client(f"dns+{named(one)}", refresh=0.01) as client:
        ask_all(client)
        assert other.requests == []
        addresses.append("127.0.0.2")

        def is_used() -> bool:
            ask_all(client)
            return bool(other.requests)

        wait_until(is_used, TIMEOUT)
        one.requests.clear()
        ask_all(client)
        assert 0 < len(one.requests) < len(MODELS)


def test_disappears(addresses: list[str]) -> None:
    """A server that is no longer listed gets no more requests, though it would answer."""
    addresses.append("127.0.0.2")
    with replicas() as (one, other), Client(f"dns+{named(one)}", refresh=0.01) as client:
        ask_all(client)
        assert 0 < len(other.requests) < len(MODELS)
        addresses.remove("127.0.0.2")

        def is_left() -> bool:
            other.requests.clear()
            ask_all(client)
            return not other.requests

        wait_until(is_left, TIMEOUT)


def test_at_once(addresses: list[str]) -> None:
    """If a connection fails, the name is resolved at once, not only after the usual time."""
    with replicas() as (one, _), Client(f"dns+{named(one)}", refresh=3600) as client:
        ask_all(client)
        addresses[:] = ["127.0.0.2"]
        one.stop()
        ask_all(client)


def test_lost_name(addresses: list[str]) -> None:
    """If the name can no longer be resolved, its last servers stay."""
    with replicas() as (one, _), Client(f"dns+{named(one)}", refresh=0.01) as client:
        ask_all(client)
        addresses.clear()
        for _ in range(5):
            ask_all(client)


def test_no_name(addresses: list[str]) -> None:
    """A name without addresses is an error, until it has one."""
    addresses.clear()
    with replicas() as (one, _), Client(f"dns+{named(one)}", refresh=0.01) as client:
        with pytest.raises((CannotConnect, RequestTimedOut), match="its name has no address"):
            client.predict("m", ["a"], timeout=2)
        addresses.append("127.0.0.1")
        ask_all(client)


def test_one_kind(monkeypatch: pytest.MonkeyPatch) -> None:
    """Addresses are all of the kind that the system prefers, so that no server counts twice."""
    found = [
        (socket.AF_INET6, 1, 6, "", ("::1", 80, 0, 0)),
        (socket.AF_INET, 1, 6, "", ("127.0.0.1", 80)),
    ]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found)
    assert asyncio.run(discovery.resolve("x", 80)) == ["::1"]


def test_grpc(addresses: list[str], server: Server) -> None:
    """GRPC follows a name too."""
    port = server.address.rpartition(":")[2]
    with Client(f"dns+grpc://{NAME}:{port}", refresh=0.01) as client:
        assert client.predict("upper", ["a"])[0].output == "A"


def test_encrypted(addresses: list[str], tmp_path: Path) -> None:
    """The certificate of a server is that of the name, not of its address."""
    write_certificate(tmp_path, NAME)
    files = {"tls_certificate": "certificate.pem", "tls_key": "key.pem"}
    settings = {setting: str(tmp_path / file) for setting, file in files.items()}
    ca_file = tmp_path / "certificate.pem"
    with server_process.launched(processes=1, **settings) as one:
        wait_until(lambda: "'ready'" in str(one.log), TIMEOUT)
        ports = [line["address"].rpartition(":")[2] for line in one.log if "address" in line]
        for scheme, port in zip(("https", "grpcs"), ports, strict=True):
            with Client(f"dns+{scheme}://{NAME}:{port}", ca_file=ca_file) as client:
                assert client.predict("upper", ["a"])[0].output == "A"
        write_certificate(tmp_path, "another.test")
        for scheme, port in zip(("https", "grpcs"), ports, strict=True):
            url = f"dns+{scheme}://{NAME}:{port}"
            with Client(url, ca_file=ca_file) as client, pytest.raises(UntrustedServer):
                client.predict("upper", ["a"])


def named(server: ScriptedServer) -> str:
    """Return the URL of a server under the name."""
    return f"http://{NAME}:{server.port}"
