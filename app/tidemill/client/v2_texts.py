"""Read V2 responses whose rows are JSON texts: over HTTP or gRPC."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tidemill.client.replies import Source, answers

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tidemill.client.answer import Answer

# The outputs that name the model and the variant of each row, if rows have different ones.
MODEL, VARIANT = "tidemill.model", "tidemill.variant"
JSON = "json"


def read(columns: Mapping[str, Sequence[str]], one: Source, count: int) -> list[Answer]:
    """Return the answers in a response's tensors; `one` is their model unless rows have others.

    Raises:
        ServerFailed: There are fewer or more than inputs.

    """
    texts = next((texts for name, texts in columns.items() if name not in {MODEL, VARIANT}), ())
    models = columns.get(MODEL)
    if models is None:
        return answers(texts, [one] * len(texts), count)
    variants = columns.get(VARIANT) or [""] * len(models)
    sources = [
        Source(*model.partition(":")[::2], variant or None)
        for model, variant in zip(models, variants, strict=False)
    ]
    return answers(texts, sources, count)
