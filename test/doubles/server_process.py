"""Start `tidemill serve` in a process, and call it."""

from __future__ import annotations

import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import grpc
from pool_processes import processes, wait_until
from served_models import MODELS

from dev.kafka.ports import free_ports
from tidemill.protocol import open_inference_grpc_pb2 as pb
from tidemill.protocol import open_inference_grpc_pb2_grpc as pb_grpc

if TYPE_CHECKING:
    from collections.abc import Iterator

TIMEOUT = 120.0  # seconds


class Response(NamedTuple):
    """A response; `json` is None if the body is something else."""

    status: int
    headers: http.client.HTTPMessage
    body: bytes

    @property
    def json(self) -> Any:  # noqa: ANN401 - JSON
        """The body as JSON."""
        return json.loads(self.body)


@dataclass
class Server:
    """A server: its process, its folder, its addresses, and a channel to it."""

    process: subprocess.Popen[bytes]
    folder: Path
    port: int = 0
    address: str = ""
    channel: grpc.Channel = None

    @property
    def log(self) -> list[dict[str, Any]]:
        """Return the log, without what model processes print."""
        return _lines(self.folder / "stderr")

    @property
    def access_log(self) -> list[dict[str, Any]]:
        """Return the access log."""
        return _lines(self.folder / "stdout")

    @property
    def seen(self) -> list[str]:
        """Return the inputs that the model `gate` has seen."""
        path = self.folder / "seen"
        return path.read_text().split("\n")[:-1] if path.exists() else []

    @property
    def stub(self) -> Any:  # noqa: ANN401 - generated
        """Return the methods of V2 over gRPC."""
        return pb_grpc.GRPCInferenceServiceStub(self.channel)

    def open_gate(self) -> None:
        """Let the model `gate` answer."""
        (self.folder / "open").touch()

    def connect(self) -> http.client.HTTPConnection:
        """Return a new connection."""
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=TIMEOUT)

    @contextmanager
    def connect_and_ask(self, model: str, *texts: str) -> Iterator[socket.socket]:
        """Send a plain request, and do not read its answer."""
        body = json.dumps({"inputs": texts}).encode()
        head = f"POST /{model} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n"
        with socket.create_connection(("127.0.0.1", self.port), TIMEOUT) as client:
            client.sendall(head.encode() + body)
            yield client

    def send(
        self,
        path: str,
        body: object = None,
        method: str | None = None,
        **headers: str,
    ) -> Response:
        """Send a request: GET, or POST of a body, which is bytes or becomes JSON."""
        content = body if body is None or isinstance(body, bytes) else json.dumps(body)
        connection = self.connect()
        try:
            names = {name.replace("_", "-"): value for name, value in headers.items()}
            verb = method or ("GET" if body is None else "POST")
            connection.request(verb, path, content, names)
            response = connection.getresponse()
            return Response(response.status, response.headers, response.read())
        finally:
            connection.close()

    def ask(self, model: str, *inputs: object, **fields: object) -> Response:
        """Send a plain request."""
        return self.send(f"/{model}", {"inputs": inputs} | fields)

    def infer(self, model: str, *texts: str, **fields: object) -> Response:
        """Send a V2 request with one tensor of texts."""
        tensor = {"name": "x", "datatype": "BYTES", "shape": [len(texts)], "data": texts}
        return self.send(f"/v2/models/{model}/infer", {"inputs": [tensor]} | fields)

    def infer_grpc(self, model: str, *texts: str, **parameters: str) -> pb.ModelInferResponse:
        """Send the same request over gRPC."""
        message = infer_message(model, *texts, **parameters)
        response: pb.ModelInferResponse = self.stub.ModelInfer(message, timeout=TIMEOUT)
        return response

    def stop(self) -> int:
        """Send SIGTERM; return the exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(TIMEOUT)


def infer_message(model: str, *texts: str, **parameters: str) -> pb.ModelInferRequest:
    """Return a gRPC request with one tensor of texts."""
    name, _, version = model.partition(":")
    message = pb.ModelInferRequest(model_name=name, model_version=version)
    tensor = message.inputs.add(name="x", datatype="BYTES", shape=[len(texts)])
    tensor.contents.bytes_contents.extend(text.encode() for text in texts)
    for key, value in parameters.items():
        message.parameters[key].string_param = value
    return message


def launch(
    folder: Path,
    processes: int = 2,
    models: str | None = MODELS,
    preload: str = "all",
    store: str = "",
    tasks: dict[str, Any] | None = None,
    **serving: object,
) -> Server:
    """Start a server with settings of the section `serving`, and a store's URL; do not wait.

    Without models it has no settings file either.
    """
    if models is not None:
        (folder / "models.yaml").write_text(models.format(folder=folder))
    # With port 0, gRPC's would be one that a client may take before the server has it.
    settings = {"http_port": 0, "grpc_port": free_ports(1)[0]} | serving
    environment = os.environ | {
        "TMPDIR": str(folder),
        **({} if models is None else {"TIDEMILL__MODELS": str(folder / "models.yaml")}),
        **({} if tasks is None else {"TIDEMILL__TASKS": json.dumps(tasks)}),
        "TIDEMILL__LOG__FORMAT": "json",
        "TIDEMILL__POOL__PROCESSES": str(processes),
        "TIDEMILL__POOL__PRELOAD": preload,
        **({"TIDEMILL__STORE__URL": store} if store else {}),
        **{
            f"TIDEMILL__SERVING__{name.upper()}": json.dumps(value).strip('"')
            for name, value in settings.items()
        },
    }
    with (folder / "stdout").open("wb") as out, (folder / "stderr").open("wb") as err:
        command = [sys.executable, "-m", "tidemill", "serve"]
        working = folder if models is None else None
        process = subprocess.Popen(command, env=environment, stdout=out, stderr=err, cwd=working)
    return Server(process, folder)


@contextmanager
def launched(**arguments: Any) -> Iterator[Server]:  # noqa: ANN401 - of `launch`
    """Start a server in a folder of its own; end it with its pool, and remove the folder.

    The path is short, as sockets need.
    """
    folder = Path(tempfile.mkdtemp(prefix="serve-", dir="/tmp"))
    server = launch(folder, **arguments)
    try:
        yield server
    finally:
        server.open_gate()
        server.process.kill()
        server.process.wait()
        while running := processes(folder):
            for pid in running:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def running(**arguments: Any) -> Iterator[Server]:  # noqa: ANN401 - of `launch`
    """Run a server, which is ready, until the end of the context."""
    with launched(**arguments) as server:
        wait_until(lambda: _addresses(server) or server.process.poll() is not None, TIMEOUT)
        addresses = _addresses(server)
        assert addresses, (server.folder / "stderr").read_text()
        server.port = int(addresses[0].rpartition(":")[2])
        server.address = addresses[1]
        with grpc.insecure_channel(server.address) as server.channel:
            wait_until(lambda: server.send("/readyz").status == 200, TIMEOUT)
            yield server


def _addresses(server: Server) -> list[str]:
    found = [line["address"] for line in server.log if "address" in line]
    return found if len(found) == 2 else []


def _lines(path: Path) -> list[dict[str, Any]]:
    lines = path.read_text().split("\n")[:-1]
    return [json.loads(line) for line in lines if line.startswith("{")]
