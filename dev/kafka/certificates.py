"""Create a certificate authority, with PEM files for a broker and a client.

Java, kafka-python and librdkafka can all read the files: a PKCS#8 key, which Java requires,
followed by the certificate chain.
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

if TYPE_CHECKING:
    from pathlib import Path

VALIDITY: Final = timedelta(days=2)
ADDRESSES: Final = (
    x509.DNSName("localhost"),
    x509.IPAddress(ipaddress.ip_address("127.0.0.1")),
)


@dataclass(frozen=True, slots=True)
class Certificates:
    """PEM files: the authority's certificate, and a key with its chain for each side."""

    ca: Path
    broker: Path
    keystore: Path


def issue_certificates(folder: Path) -> Certificates:
    """Create an authority, and issue a broker's and a client's certificate."""
    folder.mkdir(parents=True, exist_ok=True)
    ca_key = ec.generate_private_key(ec.SECP256R1())
    ca = sign(ca_key, common_name("Tidemill test CA"), ca_key, None)
    files = Certificates(folder / "ca.pem", folder / "broker.pem", folder / "keystore.pem")
    files.ca.write_bytes(ca.public_bytes(Encoding.PEM))
    for file, name in ((files.broker, "broker"), (files.keystore, "tidemill")):
        key = ec.generate_private_key(ec.SECP256R1())
        leaf = sign(key, common_name(name), ca_key, ca)
        file.touch(mode=0o600)
        file.write_bytes(
            key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
            + leaf.public_bytes(Encoding.PEM)
            + ca.public_bytes(Encoding.PEM)
        )
    return files


def common_name(name: str) -> x509.Name:
    """Return a subject with only a common name."""
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def sign(
    key: ec.EllipticCurvePrivateKey,
    subject: x509.Name,
    ca_key: ec.EllipticCurvePrivateKey,
    ca: x509.Certificate | None,
) -> x509.Certificate:
    """Issue a certificate for a key, signed by `ca`; if that is None, the authority's own."""
    now = datetime.now(UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(ca.subject if ca else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(minutes=5))  # clocks differ a little
        .not_valid_after(now + VALIDITY)
        .add_extension(x509.BasicConstraints(ca=ca is None, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(ca_key.public_key()), critical=False
        )
    )
    if ca:
        purposes = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
        builder = builder.add_extension(x509.SubjectAlternativeName(ADDRESSES), critical=False)
        builder = builder.add_extension(x509.ExtendedKeyUsage(purposes), critical=False)
    return builder.sign(ca_key, hashes.SHA256())
