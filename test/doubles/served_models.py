"""Models for the tests of the server. Like users' models, they import nothing from the project."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any, ClassVar

# The entries of models.yaml; `{folder}` is the folder of the test.
MODELS = """
models:
  - {{name: upper, version: 1, adapter: "served_models:Upper", sample: a, payload: text,
      match: {{to: upper}}}}
  - {{name: upper-cased, version: 2, adapter: "served_models:Upper", sample: a, payload: text,
      match: {{to: upper-cased}}}}
  - {{name: versions, version: 1, adapter: "served_models:Upper", sample: a, match: {{v: 1}}}}
  - {{name: versions, version: 2, adapter: "served_models:Upper", sample: a, match: {{v: 2}}}}
  - {{name: gate, version: 1, adapter: "served_models:Gate", sample: a, payload: text,
      match: {{to: gate}}, options: {{folder: "{folder}"}}, limits: {{seconds: 600}}}}
  - {{name: score, version: 1, adapter: "served_models:Score", payload: [x, name],
      match: {{to: score}}}}
  - {{name: sum, version: 1, adapter: "served_models:Sum", sample: [1, 2], match: {{to: sum}}}}
  - {{name: fare, version: 1, adapter: "served_models:Upper", sample: a, payload: text,
      endpoint: fares, parameters: [[2, TAXI], [3, TAXI]],
      options: {{suffix: " {{zone}}-{{kind}}"}}}}
  - {{name: other-fare, version: 1, adapter: "served_models:Upper", sample: a, payload: text,
      endpoint: fares, parameters: [2, "a b/é"]}}
  - name: ab
    version: 1
    adapter: served_models:Upper
    sample: a
    match: {{to: ab}}
    variants:
      one: {{weight: 30, version: 1}}
      two: {{weight: 70, version: 2, options: {{suffix: "!"}}}}
  - {{name: hasty, version: 1, adapter: "served_models:Upper", sample: a, payload: text,
      match: {{to: hasty}}, limits: {{seconds: 1}}}}
endpoints:
  fares: [zone, kind]
"""


class Upper:
    """Answer in capitals, or fail in the way that a text asks for."""

    def __init__(self, suffix: str = "") -> None:
        """Take what to add to each answer."""
        self._suffix = suffix

    def predict_all(self, inputs: list[str]) -> list[str]:
        """Answer every input."""
        if "bad" in inputs:
            raise ValueError("a bad text")
        if "hang" in inputs:
            time.sleep(3600)
        if "crash" in inputs:
            os._exit(3)
        outputs = [json.dumps(text.upper() + self._suffix) for text in inputs]
        return outputs[1:] if "few" in inputs else outputs


class Gate:
    """Note each input in a file; answer texts that begin with `wait` only once a file exists."""

    def __init__(self, folder: str) -> None:
        """Take the folder of the files `seen` and `open`."""
        self._folder = Path(folder)

    def predict_all(self, inputs: list[str]) -> list[str]:
        """Answer every input."""
        with (self._folder / "seen").open("a") as seen:
            seen.writelines(f"{text}\n" for text in inputs)
        while any(text.startswith("wait") for text in inputs):
            if (self._folder / "open").exists():
                break
            time.sleep(0.02)
        return [json.dumps(text) for text in inputs]


class Names(Gate):
    """Find one entity in each input, the whole of it; wait as Gate does."""

    def predict_all(self, inputs: list[str]) -> list[str]:
        """Answer every input."""
        outputs = super().predict_all(inputs)
        return [f'[{{"entity": {text}, "category": "NAME"}}]' for text in outputs]


class Late:
    """Answer nothing until a file exists."""

    def __init__(self, folder: str) -> None:
        """Take the folder of the file `open`."""
        self._open = Path(folder) / "open"

    def predict_all(self, inputs: list[str]) -> list[str]:
        """Answer every input."""
        if not self._open.exists():
            raise OSError("not yet")
        return [json.dumps(text) for text in inputs]


class Loading:
    """Load until a file exists."""

    def __init__(self, folder: str) -> None:
        """Take the folder of the file `open`."""
        while not (Path(folder) / "open").exists():
            time.sleep(0.02)

    def predict_all(self, inputs: list[str]) -> list[str]:
        """Answer every input."""
        return [json.dumps(text) for text in inputs]


class Score:
    """Answer an object with an object."""

    sample = '{"x": 1, "name": "a"}'
    input_schema: ClassVar[dict[str, Any]] = {
        "type": "object",
        "properties": {"x": {"type": "number"}, "name": {"type": "string"}},
        "required": ["x", "name"],
    }
    output_schema: ClassVar[dict[str, Any]] = {
        "type": "object",
        "properties": {"p": {"type": "number"}, "label": {"type": "string"}},
        "required": ["p", "label"],
    }

    def predict_all(self, inputs: list[str]) -> list[str]:
        """Answer every input."""
        rows = [json.loads(text) for text in inputs]
        return [json.dumps({"p": row["x"] / 8, "label": row["name"]}) for row in rows]


class Sum:
    """Answer an array with the sum of its numbers."""

    output_schema: ClassVar[dict[str, Any]] = {"type": "number"}

    def predict_all(self, inputs: list[str]) -> list[str]:
        """Answer every input."""
        return [json.dumps(sum(json.loads(text))) for text in inputs]
