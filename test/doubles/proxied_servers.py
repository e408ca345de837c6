"""Two servers behind the proxy of `make up-serving`, and clients that never pause."""

from __future__ import annotations

import shutil
import tempfile
import threading
import time
from collections import Counter
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import grpc
import server_process
from pool_processes import wait_until
from server_process import TIMEOUT, Server, infer_message

from dev.kafka.ports import HOST, free_ports
from dev.proxy.haproxy import Proxy
from tidemill.protocol import open_inference_grpc_pb2_grpc as pb_grpc

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

NAMES = [f"model-{number}" for number in range(12)]
MODELS = "models:\n" + "".join(
    f'  - {{{{name: {name}, version: 1, adapter: "served_models:Upper", sample: a, payload: text,'
    f" match: {{{{to: {name}}}}}}}}}\n"
    for name in NAMES
)
# Longer than the proxy takes to notice that a server is not ready.
DRAIN_DELAY_S = 4
CLIENTS = 6


class Pair:
    """Servers with HAProxy's names `one` and `two`, each of which can be started again."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        ports = free_ports(4)
        self._ports = {"one": (ports[0], ports[1]), "two": (ports[2], ports[3])}
        self._stack = stack
        self.proxy = stack.enter_context(Proxy(folder, *self._ports.values()))
        self.servers: dict[str, Server] = {}
        for name in self._ports:
            self.start(name)
        self.wait_for("one", "two")

    def start(self, name: str) -> None:
        """Start a server at its address, and wait until it is ready."""
        http_port, grpc_port = self._ports[name]
        started = server_process.running(
            processes=1,
            models=MODELS,
            http_port=http_port,
            grpc_port=grpc_port,
            drain_delay=DRAIN_DELAY_S,
        )
        self.servers[name] = self._stack.enter_context(started)

    def wait_for(self, *names: str) -> None:
        """Wait until the proxy sends requests to these servers, and to no other."""
        wait_until(lambda: self.proxy.up() == self.proxy.up("grpc") == set(names), TIMEOUT)

    @property
    def client(self) -> Server:
        """Return what calls the proxy over HTTP as tests call a server."""
        return Server(self.servers["one"].process, Path(), self.proxy.port)

    @property
    def grpc_address(self) -> str:
        """Return the proxy's address for gRPC."""
        return f"{HOST}:{self.proxy.grpc_port}"

    @contextmanager
    def grpc_client(self) -> Iterator[Callable[[str], str]]:
        """Return a call over gRPC on a connection of its own; it returns the status."""
        with grpc.insecure_channel(self.grpc_address) as channel:
            stub = pb_grpc.GRPCInferenceServiceStub(channel)

            def call(model: str) -> str:
                metadata = (("tidemill-model", model),)
                try:
                    stub.ModelInfer(infer_message(model, "x"), metadata=metadata, timeout=TIMEOUT)
                except grpc.RpcError as error:
                    return f"{error.code()}: {error.details()}"
                return "200"

            yield call

    def taken_by(self, send: Callable[[], object], proxy: str = "http") -> str:
        """Return the server that gets a request, which must be the only one at the time."""
        before = self.proxy.answered(proxy)
        send()
        wait_until(lambda: self.proxy.answered(proxy) != before, TIMEOUT)
        after = self.proxy.answered(proxy)
        (server,) = [name for name in after if after[name] != before[name]]
        return server


@contextmanager
def running() -> Iterator[Pair]:
    """Run two servers and the proxy until the end of the context."""
    folder = Path(tempfile.mkdtemp(prefix="proxy-", dir="/tmp"))
    try:
        with ExitStack() as stack:
            yield Pair(folder, stack)
    finally:
        shutil.rmtree(folder)


@dataclass
class Load:
    """What clients have seen: every status, and the longest time for one request, in seconds.

    `ended` is how many requests of each client have ended.
    """

    statuses: list[str] = field(default_factory=list)
    ended: Counter[int] = field(default_factory=Counter)
    longest: float = 0.0

    @property
    def failed(self) -> list[str]:
        """Return the statuses of the requests that failed."""
        return [status for status in self.statuses if status != "200"]

    def wait_for_more(self, count: int) -> None:
        """Wait until this many more requests have ended."""
        enough = len(self.statuses) + count
        wait_until(lambda: len(self.statuses) >= enough, TIMEOUT)

    def wait_for_each(self, count: int) -> None:
        """Wait until this many more requests of each client have ended."""
        before = self.ended.copy()
        wait_until(
            lambda: all(self.ended[each] >= before[each] + count for each in range(CLIENTS)),
            TIMEOUT,
        )


@contextmanager
def load(pair: Pair, protocol: str) -> Iterator[Load]:
    """Ask for all models in turn, with every client, until the end of the context."""
    seen, stop = Load(), threading.Event()

    def ask_http(model: str) -> str:
        try:
            return str(pair.client.ask(model, "x").status)
        except OSError as error:
            return repr(error)

    def ask_on(ask: Callable[[str], str], client: int) -> None:
        number = 2 * client
        while not stop.is_set():
            start = time.monotonic()
            status = ask(NAMES[number % len(NAMES)])
            seen.longest = max(seen.longest, time.monotonic() - start)
            seen.statuses.append(status)
            seen.ended[client] += 1
            number += 1

    def run(client: int) -> None:
        if protocol == "http":
            ask_on(ask_http, client)
            return
        with pair.grpc_client() as ask:
            ask_on(ask, client)

    with ThreadPoolExecutor(CLIENTS) as threads:
        clients: list[Future[None]] = [threads.submit(run, n) for n in range(CLIENTS)]
        try:
            seen.wait_for_more(5 * CLIENTS)
            yield seen
            seen.wait_for_more(5 * CLIENTS)
        finally:
            stop.set()
        for client in clients:
            client.result()
