"""Tests of encrypted connections, and of certificates that are replaced."""

from __future__ import annotations

import ssl
import urllib.request
from typing import TYPE_CHECKING

import grpc
import pytest
import server_process
from certificate import write_certificate
from pool_processes import wait_until
from server_process import TIMEOUT, infer_message

from tidemill.protocol import open_inference_grpc_pb2_grpc as pb_grpc

if TYPE_CHECKING:
    from pathlib import Path

    from server_process import Server


def ask_http(server: Server, certificate: bytes) -> int:
    """Return the status of a request by a client that trusts only this certificate."""
    context = ssl.create_default_context(cadata=certificate.decode())
    url = f"https://127.0.0.1:{server.port}/healthz"
    with urllib.request.urlopen(url, timeout=TIMEOUT, context=context) as response:
        status: int = response.status
        return status


def ask_grpc(server: Server, certificate: bytes) -> bool:
    """Tell whether a client that trusts only this certificate gets an answer."""
    credentials = grpc.ssl_channel_credentials(certificate)
    with grpc.secure_channel(server.address, credentials) as channel:
        stub = pb_grpc.GRPCInferenceServiceStub(channel)
        return bool(stub.ModelInfer(infer_message("upper", "a"), timeout=TIMEOUT).outputs)


def test_replaced(tmp_path: Path) -> None:
    """Both protocols are encrypted, and use a new certificate once it is there."""
    first = write_certificate(tmp_path)
    settings = {
        "tls_certificate": str(tmp_path / "certificate.pem"),
        "tls_key": str(tmp_path / "key.pem"),
    }
    with server_process.launched(**settings) as one:
        wait_until(lambda: "'ready'" in str(one.log), TIMEOUT)
        http, one.address = [line["address"] for line in one.log if "address" in line]
        assert http.startswith("https://127.0.0.1:")
        one.port = int(http.rpartition(":")[2])
        assert ask_http(one, first) == 200
        assert ask_grpc(one, first)
        with pytest.raises((OSError, ValueError)):
            urllib.request.urlopen(f"http://127.0.0.1:{one.port}/healthz", timeout=TIMEOUT)

        (tmp_path / "certificate.pem").write_text("half a certificate")
        assert ask_http(one, first) == 200
        assert ask_grpc(one, first)
        second = write_certificate(tmp_path)
        assert ask_http(one, second) == 200
        assert ask_grpc(one, second)
        with pytest.raises(OSError, match="CERTIFICATE_VERIFY_FAILED"):
            ask_http(one, first)
        assert "the last certificate stays" in str(one.log)
        assert one.stop() == 0


def test_unusable(tmp_path: Path) -> None:
    """A server whose certificate is none does not start, and says why."""
    write_certificate(tmp_path)
    key = str(tmp_path / "key.pem")
    for certificate in (key, str(tmp_path / "none.pem")):
        with server_process.launched(tls_certificate=certificate, tls_key=key) as one:
            assert one.process.wait(TIMEOUT) == 2
            (line,) = [each for each in one.log if each["level"] == "error"]
            assert line["event"].startswith("cannot use the certificate ")
