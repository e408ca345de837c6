"""Tests of encrypted connections, and of certificates that are replaced."""

from __future__ import annotations

import ssl
import urllib.request
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from typing import TYPE_CHECKING

import grpc
import pytest
import server_process
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from pool_processes import wait_until
from server_process import TIMEOUT, infer_message

from tidemill.protocol import open_inference_grpc_pb2_grpc as pb_grpc

if TYPE_CHECKING:
    from pathlib import Path

    from server_process import Server


def write_certificate(folder: Path) -> bytes:
    """Write a new certificate for this machine, and its key; return the certificate."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "test")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
        .public_bytes(serialization.Encoding.PEM)
    )
    private = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    for path, content in (("key.pem", private), ("certificate.pem", certificate)):
        (folder / "new").write_bytes(content)
        (folder / "new").replace(folder / path)
    return certificate


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
