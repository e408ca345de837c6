"""Ask `tidemill serve` from Python: `Client`, or `AsyncClient` with an event loop (extra `client`).

with Client("http://localhost:8080") as client:
answers = client.predict("ner-en", ["Ada Lovelace"])
"""

from __future__ import annotations

from tidemill.client.answer import Answer
from tidemill.client.async_client import AsyncClient
from tidemill.client.sync_client import Client

__all__ = ["Answer", "AsyncClient", "Client"]
