"""Two models in KServe's SDK, which predicts on its event loop, one request at a time."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

from kserve import InferOutput, InferRequest, InferResponse, Model, ModelServer

from bench.contenders import common

if TYPE_CHECKING:
    from collections.abc import Callable


class Texts(Model):  # type: ignore[misc] # mypy runs without KServe
    """A model of texts."""

    def __init__(self, name: str, predict: Callable[[list[str]], list[str]]) -> None:
        """Take what predicts."""
        super().__init__(name)
        self._predict = predict
        self.ready = True

    def predict(self, payload: InferRequest, *_: Any, **__: Any) -> InferResponse:  # noqa: ANN401
        """Answer a V2 request."""
        outputs = self._predict(payload.inputs[0].data)
        tensor = InferOutput("output", [len(outputs)], "BYTES", data=outputs)
        return InferResponse(payload.id or "1", self.name, [tensor])


def ner(texts: list[str]) -> list[str]:
    """Return the entities of texts, as JSON."""
    return [json.dumps(common.entities(doc)) for doc in common.load().pipe(texts)]


if __name__ == "__main__":
    server = ModelServer(
        http_port=int(sys.argv[1]), workers=1, enable_grpc=False, access_log_format=None
    )
    server.start([Texts("noop", lambda texts: texts), Texts("ner", ner)])
