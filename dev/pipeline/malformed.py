"""Messages that want to stop a batch or get lost, made by Hypothesis and by hand."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from dev.pipeline.messages import encode_message

Record = dict[str, Any]

TRICKS = ("", "raise", "too few", "too many", "no json", "huge", "x" * 3000, "naïve \u0000 é 🚀")


scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=40)
texts = st.sampled_from(TRICKS) | st.text(max_size=60)
messages = st.builds(encode_message, texts)
fields = st.fixed_dictionaries(
    {},
    optional={
        "text": texts | scalars | st.lists(scalars, max_size=3),
        "lang": st.sampled_from(["en", "fr", "xx", ""]) | scalars,
        "uuid": st.text(max_size=20) | scalars,
        "extra": scalars,
    },
)
values = st.one_of(
    st.none(),
    st.binary(max_size=60),
    messages,
    fields.map(lambda fields: json.dumps(fields).encode(errors="surrogatepass")),
    # A good message that was cut off, or that has junk before it.
    st.builds(lambda value, at: value[: at % len(value)], messages, st.integers(0)),
    st.builds(lambda junk, value: junk + value, st.binary(max_size=4), messages),
)
header_names = st.text(st.characters(codec="utf-8"), min_size=1, max_size=12) | st.sampled_from(
    ["tidemill.model", "tidemill.error.class"]
)
records = st.fixed_dictionaries(
    {
        "value": values,
        "key": st.none() | st.binary(max_size=12),
        "headers": st.lists(
            st.tuples(header_names, st.none() | st.binary(max_size=12)), max_size=3
        ),
    }
)

BY_HAND: list[Record] = [
    {"value": value, "key": b"by hand", "headers": []}
    for value in (
        None,
        b"",
        b"null",
        b"[]",
        b'"text"',
        b"\xef\xbb\xbf" + encode_message("a byte order mark"),
        b"[" * 100_000,
        b'{"text":' + b"[" * 100_000,
        b'{"text": "\\ud800", "lang": "en", "uuid": "u"}',
        b'{"text": "a", "text": "b", "lang": "en", "uuid": "u"}',
        b'{"text": 1e999, "lang": "en", "uuid": "u"}',
        b'{"text": NaN, "lang": "en", "uuid": "u"}',
        encode_message("x" * 1_000_001),
        encode_message("x" * 900_000),
        encode_message("é" * 150_000),
        encode_message("huge"),
        encode_message("raise " + "é" * 2000),
    )
]


def corpus(size: int) -> list[Record]:
    """Return at least `size` records, the same ones at each call."""
    made = list(BY_HAND)

    @settings(
        max_examples=size,
        database=None,
        derandomize=True,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
        deadline=None,
    )
    @given(records)
    def collect(record: Record) -> None:
        made.append(record)

    collect()
    while len(made) < size:
        made += made[: size - len(made)]
    return made
