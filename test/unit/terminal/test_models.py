"""Models are rendered as tables and JSON, safely and without secrets."""

from __future__ import annotations

import io
import json
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from rich.console import Console
from specs import make_spec

from tidemill.errors import ModelUnavailable, PredictionFailed, TidemillError
from tidemill.inference.request import Output
from tidemill.inference.route import Route, Variant
from tidemill.models.trial import Trial
from tidemill.terminal import models as view
from tidemill.terminal import models_json

if TYPE_CHECKING:
    from rich.console import RenderableType

    from tidemill.inference.model import ModelSpec
    from tidemill.models.lookup import Selected

EVIL = "\x1b]0;owned\x07\x1b[2J\r\x9b31m\u202e[bold]\x00\x7f"
TEXT = st.text(st.characters(codec="utf-8"), max_size=20)


def drawn(*parts: RenderableType, width: int = 400) -> str:
    """Return the output for a terminal without colours."""
    console = Console(file=io.StringIO(), width=width, color_system=None, highlight=False)
    for part in parts:
        console.print(part, soft_wrap=True)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def split(*weights: float, **fields: Any) -> list[Selected]:  # noqa: ANN401 - ModelSpec's fields
    """Return the variants of a route with these weights."""
    variants = tuple(
        Variant(f"v{number}", make_spec(version=str(number), **fields), weight)
        for number, weight in enumerate(weights)
    )
    route = Route("m", {"city": 2, "kind": "TAXI"}, variants, "user", "pepper", "/eta/2/TAXI")
    return [(route, variant) for variant in variants]


class TestHostile:
    """Only printable characters reach the terminal."""

    @given(TEXT)
    @example(EVIL)
    @example("two\nlines")
    def test_everything(self, text: str) -> None:
        """Whatever a file, a model or an exception says is safe, in tables and in JSON."""
        spec = make_spec(
            adapter="x:Y", options={text: text}, payload=text, sample=text, schema={text: text}
        )
        variant = Variant(text, spec, 50)
        selected = [(Route(text, {text: text}, (variant, variant), text, text), variant)] * 2
        route, variant = selected[0]
        error = ModelUnavailable("m:1", PredictionFailed(ValueError(text)))
        trials: list[tuple[ModelSpec, Trial | TidemillError]] = [
            (spec, Trial(text, 0, 0, 0)),
            (spec, error),
        ]
        documents = [
            models_json.summary(route, variant),
            models_json.full(route, [variant]),
            models_json.trial(spec, error),
            models_json.trial(spec, Trial(json.dumps(text), 0, 0, 0)),
            models_json.answer(route, variant, Output(json.dumps(text), (0, 1))),
            models_json.answer(route, variant, Output(PredictionFailed(ValueError(text)), (0, 1))),
        ]
        output = drawn(
            view.list_table(selected),
            *view.show_parts(selected),
            view.trial_table(trials),
            *view.problems(spec, error),
        )
        lines = [models_json.line(document) for document in documents]
        assert {c for c in output if not c.isprintable()} <= {"\n"}
        assert all(line.isprintable() for line in lines)
        assert json.loads(lines[1])["models"][0]["sample"] == text


class TestSecrets:
    """Options may hold secrets, which are masked."""

    @pytest.mark.parametrize(
        "key",
        [
            "password",
            "db_passwd",
            "API_KEY",
            "api-key",
            "apikey",
            "access_key",
            "accessKey",
            "aws_secret_access_key",
            "client_secret",
            "hf_token",
            "private_key",
            "credentials",
        ],
    )
    @pytest.mark.parametrize("value", ["hunter2", 1234, ["hunter2"], {"value": "hunter2"}])
    def test_masked(self, key: str, value: object) -> None:
        """The name of an option tells, however deep it is."""
        masked = json.dumps(models_json.masked({"deep": [{key: value}]}))
        assert key in masked
        assert models_json.MASK in masked
        assert "hunter2" not in masked
        assert "1234" not in masked

    @pytest.mark.parametrize(
        "options",
        [
            {"package": "en_core_web_sm", "threshold": 0.5, "verbose": True, "extra": None},
            {"tokenizer": "bert", "max_tokens": 512, "key": "user", "keys": ["a"], "deep": [{}]},
            {"password": None, "use_token": False},
            {"url": "https://host:8080/path?a@b"},
        ],
    )
    def test_not_masked(self, options: dict[str, object]) -> None:
        """Other options are shown as they are."""
        assert models_json.masked(options) == options

    def test_url(self) -> None:
        """The user of a URL is masked, also in the artifact."""
        url = "s3://me:hunter2@host/models"
        (selected,) = split(100, options={"uri": url}, artifact=url)
        assert drawn(*view.show_parts([selected])).count("s3://***@host/models") == 2
        assert "hunter2" not in models_json.line(models_json.full(*_full(selected)))


def _full(selected: Selected) -> tuple[Route, list[Variant]]:
    route, variant = selected
    return route, [variant]


class TestList:
    """The table of models fits the terminal."""

    def test_columns(self) -> None:
        """A route with variants has shares; the title counts the models."""
        output = drawn(view.list_table(split(100 / 3, 100 - 100 / 3)))
        for text in (
            "2 models",
            "m:0",
            "city=2, kind=TAXI",
            "/eta/2/TAXI",
            "v1",
            "33.33%",
            "66.67%",
        ):
            assert text in output

    @pytest.mark.parametrize(
        ("match", "expected"), [({}, "all"), (None, "none"), ({"a": 1, "b": "x"}, "a=1, b=x")]
    )
    def test_messages(self, match: dict[str, str | int] | None, expected: str) -> None:
        """A route takes all messages, none, or those with some values."""
        assert view.messages(match) == expected

    def test_narrow(self) -> None:
        """A narrow terminal loses the adapter before the path, and never the model."""
        selected = split(60, 40, adapter="a_package.with_a_long_name:AndALongClass")
        wide, middle, narrow = (
            drawn(view.list_table(selected), width=width) for width in (120, 75, 50)
        )
        assert "adapter" in wide
        assert "adapter" not in middle
        assert "path" in middle
        assert "path" not in narrow
        assert "m:1" in narrow


class TestTrials:
    """Figures have units."""

    def test_row(self) -> None:
        """Seconds, milliseconds and mebibytes; a long output is cut."""
        trial = Trial(f'"{"x" * 500}"', 1.25, 0.0123, 20 * 2**20)
        output = drawn(view.trial_table([(make_spec(), trial)]))
        for text in ("1 model", "1.2 s", "12 ms", "20 MiB", "…"):
            assert text in output
        assert "x" * 61 not in output

    def test_unknown_memory(self) -> None:
        """Where the system does not tell the memory, it is unknown."""
        trial = Trial("1", 0, 0, 0)
        assert models_json.trial(make_spec(), trial)["memory_bytes"] is None
        assert "0 MiB" not in drawn(view.trial_table([(make_spec(), trial)]))
