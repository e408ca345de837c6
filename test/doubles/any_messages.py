"""Any messages, and a model that fails on some of them."""

from __future__ import annotations

import codecs
import json
from typing import Any

from hypothesis import strategies as st

from tidemill.inference.message import Message

# Lone surrogates too: JSON can write them, UTF-8 cannot.
TEXT = st.text(max_size=30) | st.text("!?%*é🌊\ud800", max_size=3)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=5,
)
LIKELY = st.fixed_dictionaries(
    {},
    optional={
        "text": TEXT | JSON,
        "lang": st.sampled_from(["en", "fr", "xx"]) | JSON,
        "uuid": TEXT | JSON,
        "more": JSON,
    },
)
VALUE = st.one_of(
    st.none(),
    st.binary(max_size=40),
    JSON.map(lambda value: json.dumps(value).encode()),
    LIKELY.map(lambda value: json.dumps(value).encode()),
    LIKELY.map(lambda value: json.dumps(value, ensure_ascii=False).encode(errors="surrogatepass")),
    # Spread over lines, with a byte order mark, with names that are there twice.
    LIKELY.map(lambda value: codecs.BOM_UTF8 + json.dumps(value, indent=1).encode()),
    st.lists(st.tuples(st.sampled_from(["text", "lang", "uuid", "out"]), TEXT | JSON)).map(
        lambda fields: (
            f"{{{','.join(f'{json.dumps(n)}:{json.dumps(v)}' for n, v in fields)}}}".encode()
        )
    ),
)
MESSAGE = st.builds(
    Message,
    VALUE,
    key=st.none() | st.binary(max_size=40),
    headers=st.lists(
        st.tuples(st.text(st.characters(codec="utf-8"), max_size=9), st.none() | st.binary()),
        max_size=3,
    ).map(tuple),
    topic=st.none() | st.just("t"),
    partition=st.none() | st.integers(0, 9),
    offset=st.none() | st.integers(0, 2**63 - 1),
    timestamp=st.none() | st.integers(-1, 2**62),
)


class Moody:
    """Fail in many ways, always in the same way for the same input."""

    def predict_all(self, inputs: list[str]) -> list[Any]:
        """Return outputs, or fail."""
        if any("!" in text for text in inputs):
            raise KeyError(inputs)
        if any("*" in text for text in inputs):
            return ["1"] * (len(inputs) + 1)
        outputs: list[Any] = [json.dumps({"length": len(text)}) for text in inputs]
        for index, text in enumerate(inputs):
            if "?" in text:
                outputs[index] = "no JSON"
            if "%" in text:
                outputs[index] = None
            if "é" in text:
                outputs[index] = json.dumps("x" * 700)
        inputs.clear()
        return outputs
