"""Encrypt connections, with a certificate that may be replaced while the server runs."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING

import grpc
import structlog

from tidemill.errors import UnusableCertificate
from tidemill.serving.watched import Watched

if TYPE_CHECKING:
    from pathlib import Path

log = structlog.get_logger(__name__)


def context(certificate: Path, key: Path) -> ssl.SSLContext:
    """Return what encrypts HTTP. Handshakes use the certificate that the files hold by then.

    Raises:
        UnusableCertificate: The files are not a certificate and its key.

    """
    first = latest = _load(certificate, key)
    watched = Watched(certificate, key)

    def renew(connection: ssl.SSLObject, _name: str | None, _context: ssl.SSLContext) -> None:
        nonlocal latest
        if watched.have_changed():
            try:
                latest = _load(certificate, key)
            except UnusableCertificate as error:
                log.error("the last certificate stays: %s", error.message)  # noqa: TRY400
            else:
                log.info("read the certificate again")
        connection.context = latest

    first.sni_callback = renew  # called at each handshake, whether or not the client names a host
    return first


def grpc_credentials(certificate: Path, key: Path) -> grpc.ServerCredentials:
    """Return what encrypts gRPC in the same way."""
    watched = Watched(certificate, key)

    def read() -> grpc.ServerCertificateConfiguration:
        pairs = [(key.read_bytes(), certificate.read_bytes())]
        return grpc.ssl_server_certificate_configuration(pairs)

    def renew() -> grpc.ServerCertificateConfiguration | None:
        """Return the certificate if it has changed; gRPC calls this at each handshake."""
        if not watched.have_changed():
            return None
        try:
            _load(certificate, key)
            return read()
        except (UnusableCertificate, OSError):
            return None  # the context for HTTP logs it

    return grpc.dynamic_ssl_server_credentials(read(), renew)


def _load(certificate: Path, key: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        context.load_cert_chain(certificate, key)
    except OSError as error:  # also ssl.SSLError
        raise UnusableCertificate(certificate, key, error.strerror or error) from None
    return context
