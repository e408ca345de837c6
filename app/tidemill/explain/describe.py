"""Describe each step of a message as a document, from what was seen."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

from tidemill.errors import TidemillError, json_type
from tidemill.explain.describe_model import model
from tidemill.inference.closest import closest, matching
from tidemill.inference.headers import FORCE_VARIANT
from tidemill.inference.message import Prediction
from tidemill.inference.readable import readable
from tidemill.inference.records import split_key

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tidemill.explain.observation import Observation
    from tidemill.inference.message import Header, Message
    from tidemill.inference.route import Route

Document: TypeAlias = "dict[str, Any]"


def record(seen: Observation) -> Document:
    """Describe where the message comes from, and its parts."""
    message, origin = seen.message, seen.origin
    letter = origin.letter
    return {
        "source": origin.text,
        **origin.place,
        "dead_letter": letter and {"error": letter.error, "message": letter.message},
        "timestamp": message.timestamp,
        "bytes": None if message.value is None else len(message.value),
        **readable("key", message.key),
        "headers": _headers(message.headers),
        **readable("value", message.value),
    }


def decode(seen: Observation) -> Document:
    """Describe the value as text and as JSON."""
    codec, fields = seen.codec, None
    if codec.fields is not None:
        types = {name: json_type(bytes(value).decode()) for name, value in codec.fields.items()}
        fields = [{"name": name, "type": kind} for name, kind in types.items()]
    return {
        "characters": None if codec.value is None else len(codec.value),
        "is_parsed": codec.parses,
        "fields": fields,
    }


def route(seen: Observation) -> Document:
    """Describe the entry that matched, or the entries that nearly did."""
    fields = seen.codec.fields or {}
    if (matched := seen.codec.matched) is None:
        return {
            "entry": None,
            "closest": [
                {
                    "entry": miss.route.name,
                    "differences": [each._asdict() for each in miss.differences],
                }
                for miss in closest(seen.routes, fields)
            ],
        }
    others = [each.name for each in matching(seen.routes, fields) if each is not matched]
    return {"entry": matched.name, "match": matched.match, "less_specific": others}


def variant(seen: Observation) -> Document:
    """Describe the models of the entry, and the key by which one was chosen."""
    message, codec = seen.message, seen.codec
    if (matched := codec.matched) is None or not matched.is_split:
        return {"chosen": codec.variant and codec.variant.name, "variants": None}
    total = sum(each.weight for each in matched.variants)
    in_header = any(name == FORCE_VARIANT and text is not None for name, text in message.headers)
    described: Document = {
        "chosen": codec.variant and codec.variant.name,
        "forced": codec.assignment is not None and codec.assignment.forced,
        "variants": [
            {"name": each.name, "model": each.spec.id, "share": each.weight / total}
            for each in matched.variants
        ],
    }
    if codec.variant is None:
        return described
    if described["forced"]:
        place = "the header" if in_header else "the field"
        return described | {"by": f"{place} {FORCE_VARIANT}"}
    key = split_key(matched, message, codec.fields or {}, codec.value or "")
    return described | {
        "by": _key_place(matched, message),
        **readable("key", key if isinstance(key, bytes) else key.encode(errors="surrogatepass")),
    }


def _key_place(matched: Route, message: Message) -> str:
    if matched.split_by:
        return f"the field {matched.split_by}"
    return "the record's key" if message.key else "the value, since the record has no key"


def model_input(seen: Observation) -> Document:
    """Describe what the model gets."""
    codec = seen.codec
    if codec.variant is None:
        return {}
    spec = codec.variant.spec
    features = seen.completed and seen.completed.features
    text = codec.input
    if seen.completed is not None and isinstance(seen.completed.input, str):
        text = seen.completed.input
    looked_up = {} if features is None else {"features": features}
    return {
        "from": spec.payload,
        "is_text": spec.is_text,
        "characters": None if text is None else len(text),
        "limit": spec.limits.chars,
        "copied": None if codec.copied is None else list(codec.copied),
        "input": text,
    } | looked_up


def encode(seen: Observation) -> Document:
    """Describe the record that is written: its value, its key and its headers."""
    if isinstance(seen.result, TidemillError):
        return {}
    outcome, key, value, headers = seen.result
    return {
        "record": "result" if isinstance(outcome, Prediction) else "dead letter",
        # A dead letter has no room for its message if its topic takes no such large record.
        "is_omitted": value is None and seen.message.value is not None,
        "bytes": None if value is None else len(value),
        **readable("key", key),
        "headers": _headers(headers),
        **readable("value", value),
    }


def _headers(headers: Sequence[Header]) -> list[Document]:
    return [{"name": name, **readable("value", content)} for name, content in headers]


DESCRIBERS: dict[str, Callable[[Observation], Document]] = {
    "record": record,
    "decode": decode,
    "route": route,
    "variant": variant,
    "input": model_input,
    "model": model,
    "encode": encode,
}
