"""Messages as the tests' models read them."""

from __future__ import annotations

import json


def encode_message(
    text: object, lang: object = "en", uuid: object = "u", **fields: object
) -> bytes:
    """Return a message's value: JSON with a text, its language and an id."""
    return json.dumps({"text": text, "lang": lang, "uuid": str(uuid), **fields}).encode()
