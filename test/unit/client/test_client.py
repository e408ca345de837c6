"""Clients in threads and on loops: batches, tokens, encryption, cancelling, closing."""

from __future__ import annotations

import asyncio
import json
import pickle
import re
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest
import server_process
from certificate import write_certificate
from pool_processes import wait_until
from scripted_server import STALL, ScriptedServer
from server_process import TIMEOUT

from tidemill.client import Answer, AsyncClient, Client
from tidemill.errors import (
    InputFailed,
    RequestRefused,
    ServerOverloaded,
    SettingsFileUnreadable,
    UntrustedServer,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from server_process import Server

TOKENS = "client: {token: sixteen-or-more-characters, models: [upper], rate: 1000/minute}"
QUEUED = b'queue_length{model="gate",version="1"} 1.0'
TOKEN = "sixteen-or-more-characters"


@pytest.fixture(params=["http", "grpc"])
def url(server: Server, request: pytest.FixtureRequest) -> str:
    """Return the server's URL for each protocol."""
    return urls(server)[request.param]


def urls(server: Server, kind: str = "") -> dict[str, str]:
    """Return the URLs of a server."""
    return {
        "http": f"http{kind}://127.0.0.1:{server.port}",
        "grpc": f"grpc{kind}://{server.address}",
    }


class TestPredictIter:
    """Many inputs become requests, and answers in order."""

    def test_sync(self, url: str) -> None:
        """Each input has an answer, among them errors, whatever the size of the requests."""
        texts = ["bad" if n % 7 == 0 else str(n) for n in range(50)]
        with Client(url) as client:
            answers = list(client.predict_iter("upper", iter(texts), batch_size=9, concurrency=3))
        got = ["bad" if isinstance(each.error, InputFailed) else each.output for each in answers]
        assert got == texts

    def test_async(self, url: str) -> None:
        """So it is on an event loop."""

        async def call() -> list[str]:
            async with AsyncClient(url) as client:
                answers = client.predict_iter("upper", list("abcdef"), batch_size=2)
                return [answer.output async for answer in answers]

        assert asyncio.run(call()) == ["A", "B", "C", "D", "E", "F"]

    def test_memory(self, url: str) -> None:
        """Inputs are read as their answers are, so that an endless source is no problem."""
        read: list[int] = []

        def source() -> Iterator[str]:
            for number in range(10**9):
                read.append(number)
                yield str(number)

        with Client(url) as client:
            answers = client.predict_iter("upper", source(), batch_size=5, concurrency=2)
            assert [next(answers).output for _ in range(20)] == [str(n) for n in range(20)]
            assert len(read) <= 20 + 2 * 5

    def test_frame(self, url: str) -> None:
        """Rows of a DataFrame become objects; a column, texts."""
        frame = pd.DataFrame({"x": [1, 2], "name": ["a", "b"]})
        with Client(url) as client:
            rows = [a.output for a in client.predict_iter("score", frame, batch_size=1)]
            assert rows == [{"p": 0.125, "label": "a"}, {"p": 0.25, "label": "b"}]
            assert [a.output for a in client.predict("score", frame)] == rows
            assert [a.output for a in client.predict_iter("upper", frame["name"])] == ["A", "B"]

    def test_failures(self) -> None:
        """A request that fails gives its inputs its error; the next ones are answered."""
        with ScriptedServer(413) as one, Client(one.url) as client:
            answers = list(client.predict_iter("m", list("abcd"), batch_size=2, concurrency=1))
        assert [each.error and each.error.status for each in answers] == [413, 413, None, None]

    def test_hopeless(self, url: str) -> None:
        """If no request can succeed, the first error is raised, and no more is read."""
        source = iter(str(n) for n in range(10**9))
        with Client(url) as client, pytest.raises(RequestRefused, match="there is no"):
            list(client.predict_iter("nix", source))
        assert int(next(source)) < 32 * 10

    def test_delay(self) -> None:
        """Requests are so many seconds apart."""
        with ScriptedServer() as one, Client(one.url) as client:
            start = time.monotonic()
            list(client.predict_iter("m", list("abc"), batch_size=1, delay=0.2))
            assert time.monotonic() - start >= 0.4

    def test_left(self) -> None:
        """If the caller stops reading, the requests that run are cancelled."""

        async def call(url: str) -> None:
            async with AsyncClient(url) as client:
                answers = client.predict_iter("m", list("abc"), batch_size=1, concurrency=3)
                await anext(answers)
                await answers.aclose()  # type: ignore[attr-defined]
                async with asyncio.timeout(TIMEOUT):
                    while len(asyncio.all_tasks()) > 1:  # noqa: ASYNC110
                        await asyncio.sleep(0.01)

        with ScriptedServer(413, STALL, STALL) as one:
            asyncio.run(call(one.url))


class TestInputs:
    """Inputs are anything that has a JSON form."""

    @pytest.mark.parametrize(
        ("value", "text"),
        [
            (np.float64(0.5), "0.5"),
            (np.int64(3), "3"),
            (np.array([[1, 2]]), "[[1,2]]"),
            (float("nan"), "null"),
            (pd.Timestamp("2026-01-01"), '"2026-01-01T00:00:00"'),
            ({"a": np.float32(0.5), "b": None}, '{"a":0.5,"b":null}'),
        ],
        ids=str,
    )
    def test_other_libraries(self, value: object, text: str) -> None:
        """So have the values of NumPy and pandas."""
        with ScriptedServer() as one, Client(one.url) as client:
            client.predict("m", [value])
            assert json.dumps(one.requests[0][2]["inputs"], separators=(",", ":")) == f"[{text}]"

    @pytest.mark.parametrize(
        "inputs",
        ["a text", {"a": 1}, b"bytes", None, 1, [object()]],
        ids=lambda each: type(each).__name__,
    )
    def test_wrong(self, inputs: Any) -> None:  # noqa: ANN401
        """A text in place of a list is a mistake, which is not sent letter by letter."""
        with ScriptedServer() as one, Client(one.url) as client:
            with pytest.raises(TypeError, match=r"must be a list of inputs|has no JSON form"):
                client.predict("m", inputs)
            with pytest.raises(TypeError, match=r"must be a list of inputs|has no JSON form"):
                list(client.predict_iter("m", inputs))
            with pytest.raises(TypeError, match="must be a model's name, not NoneType"):
                client.predict(None, ["a"])  # type: ignore[arg-type]
            assert one.requests == []


class TestOptions:
    """Wrong options are errors before anything is sent."""

    @pytest.mark.parametrize(
        ("options", "words"),
        [
            ({"time_out": 1}, "there is no option `time_out`; did you mean `timeout`?"),
            ({"xyz": 1}, "there is no option `xyz`"),
            ({"timeout": "5"}, "`timeout` must be a positive number of seconds, not str"),
            ({"timeout": None}, "`timeout` must be a positive number of seconds, not NoneType"),
            ({"timeout": 0}, "`timeout` must be a positive number of seconds, not 0"),
            ({"timeout": float("nan")}, "`timeout` must be a positive number of seconds, not nan"),
            ({"hedge_after": -1}, "`hedge_after` must be a positive number of seconds or None"),
            ({"version": 3.8}, "`version` must be text or None, not float"),
            ({"batch_size": 0}, "`batch_size` must be a whole number of at least 1, not 0"),
            ({"concurrency": True}, "`concurrency` must be a whole number of at least 1, not bool"),
            ({"concurrency": 0}, "`concurrency` must be a whole number of at least 1, not 0"),
            ({"delay": -1}, "`delay` must be 0 or more seconds, not -1"),
        ],
        ids=str,
    )
    def test_wrong(self, options: dict[str, Any], words: str) -> None:
        """The error names the option, and what it should be."""
        wrong = pytest.raises((TypeError, ValueError), match=re.escape(words))
        with ScriptedServer() as one, Client(one.url) as client:
            with wrong:
                list(client.predict_iter("m", ["a"], **options))
            if not options.keys() & {"batch_size", "concurrency", "delay"}:
                with wrong:
                    client.predict("m", ["a"], **options)
            if options.keys() & {"time_out", "xyz", "timeout", "hedge_after"}:
                with wrong:
                    Client(one.url, **options)
            assert one.requests == []

    def test_right(self) -> None:
        """Numbers of NumPy and no value where it is optional are right."""
        with ScriptedServer() as one, Client(one.url, token=None, hedge_after=None) as client:
            answers = client.predict_iter(
                "m", ["a"], timeout=np.float64(9), batch_size=2, delay=0, version=None
            )
            assert [each.output for each in answers] == ["a"]


class TestThreads:
    """One client serves all threads, and ends with its context."""

    def test_many(self, url: str) -> None:
        """Threads share a client."""
        found: list[str] = []
        with Client(url) as client:
            threads = [
                threading.Thread(
                    target=lambda n=n: found.extend(
                        a.output for a in client.predict("upper", [f"t{n}"])
                    )
                )
                for n in range(20)
            ]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join(TIMEOUT)
        assert sorted(found) == sorted(f"T{n}" for n in range(20))

    def test_closed(self, url: str) -> None:
        """A closed client says so, and may be closed again."""
        client = Client(url)
        client.close()
        client.close()
        with pytest.raises(RuntimeError, match="the client is closed"):
            client.predict("upper", ["a"])

    def test_close_ends_requests(self) -> None:
        """Requests that run when the client is closed are cancelled, and nobody waits forever."""
        ended = threading.Event()
        with ScriptedServer(STALL) as one:
            client = Client(one.url)

            def ask() -> None:
                try:
                    client.predict("m", ["a"])
                except BaseException:  # noqa: BLE001 - CancelledError
                    ended.set()

            threading.Thread(target=ask, daemon=True).start()
            wait_until(lambda: one.requests, TIMEOUT)
            client.close()
            assert ended.wait(TIMEOUT)

    def test_cancelled(self) -> None:
        """On an event loop a request is cancelled like any call."""

        async def call(url: str) -> None:
            async with AsyncClient(url) as client:
                with pytest.raises(TimeoutError):
                    async with asyncio.timeout(0.2):
                        await client.predict("m", ["a"])

        with ScriptedServer(STALL) as one:
            asyncio.run(call(one.url))


class TestAccess:
    """Tokens and encryption."""

    def test_token(self, tmp_path: Path) -> None:
        """The token goes with every request; without it the server refuses."""
        (tmp_path / "tokens.yaml").write_text(TOKENS)
        with server_process.running(processes=1, tokens=str(tmp_path / "tokens.yaml")) as one:
            for url in urls(one).values():
                with Client(url, token=TOKEN) as client:
                    assert client.predict("upper", ["a"])[0].output == "A"
                with Client(url) as client, pytest.raises(RequestRefused) as caught:
                    client.predict("upper", ["a"])
                assert (caught.value.status, caught.value.title) == (401, "Unauthenticated")

    @pytest.mark.parametrize("content", [None, "", "no certificate"])
    def test_no_authorities(self, tmp_path: Path, content: str | None) -> None:
        """A file without certificates is an error at once, not at the first request."""
        path = tmp_path / "ca.pem"
        if content is not None:
            path.write_text(content)
        with pytest.raises(SettingsFileUnreadable) as caught:
            Client("https://localhost", ca_file=str(path))
        assert "ca_file" in caught.value.hint

    def test_encrypted(self, tmp_path: Path) -> None:
        """Both protocols are encrypted; a certificate that nobody vouches for is refused."""
        write_certificate(tmp_path)
        tls = {
            "tls_certificate": str(tmp_path / "certificate.pem"),
            "tls_key": str(tmp_path / "key.pem"),
        }
        with server_process.launched(processes=1, **tls) as one:
            wait_until(lambda: "'ready'" in str(one.log), TIMEOUT)
            http, one.address = [line["address"] for line in one.log if "address" in line]
            one.port = int(http.rpartition(":")[2])
            for url in urls(one, "s").values():
                with Client(url, ca_file=tmp_path / "certificate.pem") as client:
                    assert client.predict("upper", ["a"])[0].output == "A"
                with Client(url) as client, pytest.raises(UntrustedServer, match="not trusted"):
                    client.predict("upper", ["a"])

    def test_no_tls(self, server: Server) -> None:
        """If the server does not use TLS, the error says so at once."""
        for url in urls(server, "s").values():
            with Client(url) as client, pytest.raises(UntrustedServer, match="not use TLS"):
                client.predict("upper", ["a"])


class TestErrors:
    """Errors carry what the server said."""

    def test_overloaded(self) -> None:
        """A server's error has its title, status, detail, hint and time to wait."""
        with (
            server_process.running(processes=1, max_queue=1, max_items=1) as one,
            one.connect_and_ask("gate", "wait 1"),
        ):
            wait_until(lambda: "wait 1" in one.seen, TIMEOUT)
            with one.connect_and_ask("gate", "wait 2"):
                wait_until(lambda: QUEUED in one.send("/metrics").body, TIMEOUT)
                for url in urls(one).values():
                    refused = pytest.raises(ServerOverloaded)
                    with Client(url, timeout=1) as client, refused as caught:
                        client.predict("gate", ["wait 3"])
                    error = pickle.loads(pickle.dumps(caught.value))  # noqa: S301 - ours
                    assert (error.title, error.status) == ("QueueFull", 429)
                    assert "wait for gate:1" in error.detail
                    assert "Try again" in error.hint
                    assert error.retry_after >= 0.5

    def test_too_large(self, url: str) -> None:
        """A request of too many inputs is refused, with 413 over both protocols."""
        with Client(url) as client, pytest.raises(RequestRefused) as caught:
            client.predict("upper", ["a"] * 1001)
        assert (caught.value.title, caught.value.status) == ("RequestTooLarge", 413)

    def test_too_long(self, url: str) -> None:
        """So is one of too many bytes, which gRPC itself refuses."""
        with Client(url) as client, pytest.raises(RequestRefused) as caught:
            client.predict("upper", ["a" * 17_000_000])
        assert caught.value.status == 413
        assert "Send several requests" in caught.value.hint

    def test_answer(self) -> None:
        """An answer can be pickled, with its error."""
        error = InputFailed("InvalidInput", 400, "no", "hint")
        answer = pickle.loads(pickle.dumps(Answer(None, error, "m", "1")))  # noqa: S301 - ours
        assert (answer.error.title, answer.error.hint, answer.model) == (
            "InvalidInput",
            "hint",
            "m",
        )


@pytest.mark.parametrize(
    ("url", "imported"),
    [("", []), ("http://localhost", ["aiohttp"]), ("grpc://localhost", ["google", "grpc"])],
)
def test_import(url: str, imported: list[str]) -> None:
    """Only the library that a client uses is imported, and none to import the client."""
    program = (
        f"import sys; from tidemill.client import Client; {url!r} and Client({url!r}).close()\n"
        "heavy = {'aiohttp', 'grpc', 'google', 'pandas', 'numpy', 'starlette', 'structlog'}\n"
        "print(sorted(heavy & {*sys.modules}))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == str(imported)
