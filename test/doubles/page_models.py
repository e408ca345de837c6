"""Models for the tests of the page. Like users' models, they import nothing from the project."""

from __future__ import annotations

import json
import re
import time
from pathlib import Path
from typing import Any, ClassVar

# The entries of models.yaml; `{folder}` is the folder of the test.
MODELS = """
models:
  - name: entities
    version: 1
    adapter: page_models:Phrases
    sample: Ada Lovelace studied in London.
    match: {{to: entities}}
    options:
      labels:
        Ada Lovelace: PERSON
        London: GPE
        University of London: ORG
        London in 1836: EVENT
        "1836": DATE
        "&": "<script>document.title='hacked'</script>"
        עדה: PERSON
        "🎈": TOY
  - {{name: upper, version: 1, adapter: "served_models:Upper", sample: a, match: {{to: upper}}}}
  - {{name: same, version: 1, adapter: "page_models:Same", sample: a, match: {{to: same}}}}
  - {{name: slow, version: 1, adapter: "page_models:Slow", sample: a, match: {{to: slow}},
      options: {{folder: "{folder}"}}, limits: {{seconds: 600}}}}
  - {{name: echo, version: 1, adapter: "page_models:Echo", match: {{to: echo}}}}
  - {{name: answers, version: 1, adapter: "page_models:Echo", sample: "[]", match: {{to: answers}}}}
  - {{name: score, version: 1, adapter: "served_models:Score", match: {{to: score}}}}
  - {{name: fare, version: 1, adapter: "served_models:Upper", sample: a, endpoint: fares,
      parameters: [2, "a b/é"]}}
  - {{name: versions, version: 1, adapter: "served_models:Upper", sample: a, match: {{v: 1}}}}
  - {{name: versions, version: 2, adapter: "served_models:Upper", sample: a, match: {{v: 2}},
      options: {{suffix: "!"}}}}
  - {{name: page, version: 1, adapter: "served_models:Score", match: {{to: page}}}}
  - name: metrics
    version: 1
    adapter: served_models:Upper
    sample: a
    match: {{to: metrics}}
    variants:
      one: {{weight: 30, version: 1}}
      two: {{weight: 70, version: 2, options: {{suffix: "!"}}}}
  - name: ab
    version: 1
    adapter: served_models:Upper
    sample: a
    match: {{to: ab}}
    variants:
      one: {{weight: 30, version: 1}}
      two: {{weight: 70, version: 2, options: {{suffix: "!"}}}}
endpoints:
  fares: [zone, kind]
"""


class Phrases:
    """Find phrases in texts, also if they overlap."""

    def __init__(self, labels: dict[str, str]) -> None:
        """Take the label of each phrase."""
        self._labels = labels

    def predict_all(self, inputs: list[str]) -> list[str]:
        """Answer every input."""
        return [json.dumps(self._find(text)) for text in inputs]

    def _find(self, text: str) -> list[dict[str, Any]]:
        return [
            {"entity": phrase, "category": label, "start": found.start(), "end": found.end()}
            for phrase, label in self._labels.items()
            for found in re.finditer(re.escape(phrase), text)
        ]


class Same:
    """Answer a text with itself."""

    def predict_all(self, inputs: list[str]) -> list[str]:
        """Answer every input."""
        return [json.dumps(text) for text in inputs]


class Slow(Same):
    """Answer a text that begins with `wait` only once there is a file of this name."""

    def __init__(self, folder: str) -> None:
        """Take the folder of these files, and of the file `seen`, which lists the texts."""
        self._folder = Path(folder)

    def predict_all(self, inputs: list[str]) -> list[str]:
        """Answer every input."""
        for text in inputs:
            if text.startswith("wait"):
                with (self._folder / "seen").open("a") as seen:
                    seen.write(f"{text}\n")
                while not (self._folder / text).exists():
                    time.sleep(0.02)
        return super().predict_all(inputs)


class Echo:
    """Answer a JSON value, or a text that is one, with itself."""

    sample = '{"distance": 3.5, "tags": ["a"]}'
    input_schema: ClassVar[dict[str, Any]] = {"description": "Any value."}

    def predict_all(self, inputs: list[str]) -> list[str]:
        """Answer every input."""
        return inputs
