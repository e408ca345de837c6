"""Run an OAuth 2.0 server for client credentials, and make a broker trust its tokens."""

from __future__ import annotations

import base64
import json
import threading
import time
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.hashes import SHA256

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
LOGIN = "org.apache.kafka.common.security.oauthbearer"


def encoded(part: bytes) -> str:
    """Encode bytes as base64url without padding."""
    return base64.urlsafe_b64encode(part).rstrip(b"=").decode()


def token(subject: str) -> str:
    """Return a signed JSON web token (RFC 7519, RS256) that is valid for a minute."""
    now = int(time.time())
    head = {"alg": "RS256", "kid": "test"}
    claims = {"sub": subject, "iat": now, "exp": now + 60, "scope": "kafka"}
    payload = ".".join(encoded(json.dumps(part).encode()) for part in (head, claims))
    return f"{payload}.{encoded(KEY.sign(payload.encode(), padding.PKCS1v15(), SHA256()))}"


def write_keys(file: Path) -> None:
    """Write the key set (RFC 7517) with which a broker verifies tokens."""
    public = KEY.public_key().public_numbers()
    numbers = {
        name: encoded(number.to_bytes((number.bit_length() + 7) // 8))
        for name, number in (("n", public.n), ("e", public.e))
    }
    key = {"kty": "RSA", "kid": "test", "use": "sig", "alg": "RS256", **numbers}
    file.write_text(json.dumps({"keys": [key]}))


def broker_properties(keys: Path) -> dict[str, str]:
    """Return properties that accept these tokens, in addition to SCRAM."""
    listener = "listener.name.sasl."
    return {
        listener + "sasl.enabled.mechanisms": "SCRAM-SHA-512,OAUTHBEARER",
        listener + "oauthbearer.sasl.jaas.config": f"{LOGIN}.OAuthBearerLoginModule required;",
        listener + "oauthbearer.sasl.server.callback.handler.class": (
            f"{LOGIN}.OAuthBearerValidatorCallbackHandler"
        ),
        listener + "oauthbearer.sasl.oauthbearer.jwks.endpoint.url": keys.as_uri(),
    }


def broker_jvm_option(keys: Path) -> str:
    """Return the JVM option that allows a broker to fetch the keys from this URL."""
    return f"-Dorg.apache.kafka.sasl.oauthbearer.allowed.urls={keys.as_uri()}"


@contextmanager
def token_endpoint(client: str, secret: str) -> Iterator[tuple[str, list[str]]]:
    """Serve on loopback; yield the endpoint's URL and a growing list of clients' user agents."""
    user_agents: list[str] = []
    expected = "Basic " + base64.b64encode(f"{client}:{secret}".encode()).decode()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            valid = self.headers["Authorization"] == expected
            user_agents.append(self.headers["User-Agent"])
            body = json.dumps(
                {"access_token": token(client), "token_type": "bearer", "expires_in": 60}
                if valid
                else {"error": "invalid_client"}
            ).encode()
            self.send_response(200 if valid else 401)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/token", user_agents
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
