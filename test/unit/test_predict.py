from __future__ import annotations

import io
import json
import os
import select
import signal
import subprocess
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from example_models import Broken, Upper
from hypothesis import given
from hypothesis import strategies as st
from specs import make_spec

from dev import PYTHONPATH
from tidemill.errors import ModelUnavailable
from tidemill.inference.engine import local_engine
from tidemill.inference.message import Message, Prediction
from tidemill.inference.predictor import Predictor
from tidemill.inference.route import single_routes
from tidemill.lines import arrived_lines
from tidemill.predict import predict, slices

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tidemill.inference.model import Model

PATIENCE_S = 300
SPEC = make_spec(payload="text", match={"lang": "en"})
LINES = st.lists(
    st.one_of(
        st.binary(max_size=30).filter(lambda line: not {*b"\r\n"} & {*line}),
        st.text(max_size=9).map(lambda text: json.dumps({"lang": "en", "text": text}).encode()),
        st.sampled_from([b"", b" ", b"\t", "\u3000".encode(), b'{"lang": "de"}']),
    ),
    max_size=12,
)


SIZES = st.lists(st.integers(1, 9))


class Pipe(io.BytesIO):
    """A source whose bytes arrive in pieces of given sizes, as from a pipe."""

    def __init__(self, content: bytes, sizes: list[int]) -> None:
        super().__init__(content)
        self._sizes = sizes

    def read1(self, size: int | None = -1) -> bytes:
        """Return the next piece."""
        return super().read1(self._sizes.pop(0) if self._sizes else size)


class TestPredict:
    """Each line that is not blank has one outcome, the one that it would have on a topic."""

    @given(
        LINES,
        st.lists(st.integers(1, 20), max_size=20),
        st.booleans(),
        st.sampled_from([b"\n", b"\r\n"]),
    )
    def test_one_outcome_each(
        self, lines: list[bytes], sizes: list[int], newline: bool, end: bytes
    ) -> None:
        """Outcomes keep the order of the lines, however the bytes arrive."""
        content = end.join(lines) + end * newline
        results, dead = io.BytesIO(), io.BytesIO()
        counts = predict(
            single_routes([SPEC]), Pipe(content, sizes), results, dead, load=lambda _: Upper()
        )
        given_lines = [
            (n, line)
            for n, line in enumerate(lines, 1)
            if line.decode(errors="replace").strip("\t\v\f \x85\xa0\u2028\u3000")
        ]
        predictor = Predictor(
            single_routes([SPEC]), local_engine(lambda _: Upper(), clock=lambda: 0.0)
        )
        expected = predictor.predict([Message(line) for _, line in given_lines])
        good = [o for o in expected if isinstance(o, Prediction)]
        written = [json.loads(line) for line in results.getvalue().splitlines()]
        assert [line["out"] for line in written] == [json.loads(o.value)["out"] for o in good]
        letters = [json.loads(line) for line in dead.getvalue().splitlines()]
        assert [
            (
                int(letter["headers"]["tidemill.source.line"]),
                letter["headers"]["tidemill.error.class"],
            )
            for letter in letters
        ] == [
            (n, outcome.error_class)
            for (n, _), outcome in zip(given_lines, expected, strict=True)
            if not isinstance(outcome, Prediction)
        ]
        assert counts == {
            name: count
            for name, count in (("Prediction", len(written)), ("Failure", len(letters)))
            if count
        }

    @given(st.lists(st.sampled_from([b"a", b"bc", b"\r", b"\n", b"\r\n"])), SIZES)
    def test_lines(self, parts: list[bytes], sizes: list[int]) -> None:
        """Lines end where Python and Spark end them, and no byte is lost between two reads."""
        content = b"".join(parts)
        lines = [line for lines in arrived_lines(Pipe(content, sizes)) for line in lines]
        assert lines == content.splitlines()

    def test_as_a_batch(self) -> None:
        """A batch has these results for these bytes, at these lines (test/spark/test_batch.py)."""
        odd = b"\xef\xbb\xbfone\r\n\t\r\n\x0b \x0c\r\n\xc2\xa0\xe3\x80\x80\r\ntwo\0\r\nthree"
        results, dead = io.BytesIO(), io.BytesIO()
        spec = make_spec(id_field=None)
        predict(single_routes([spec]), io.BytesIO(odd), results, dead, load=lambda _: Upper())
        outputs = [json.loads(line)["out"] for line in results.getvalue().splitlines()]
        assert (outputs, dead.getvalue()) == (["ONE", "TWO\0", "THREE"], b"")
        messages = [message for part in slices(arrived_lines(io.BytesIO(odd))) for message in part]
        assert [message.headers[0][1] for message in messages] == [b"1", b"5", b"6"]

    def test_outage(self) -> None:
        """Lines before the outage get their outcomes, even from the same read; none is blamed."""
        specs = [make_spec(name=name, match={"n": name}, payload="text") for name in "ab"]
        source = io.BytesIO(b"".join(b'{"n": "%c", "text": "x"}\n' % n for n in b"aaxba"))
        results, dead = io.BytesIO(), io.BytesIO()
        models: dict[str, Model] = {"a": Upper(), "b": Broken()}
        with pytest.raises(ModelUnavailable, match="model b:1"):
            predict(
                single_routes(specs), source, results, dead, load=lambda spec: models[spec.name]
            )
        assert len(results.getvalue().splitlines()) == 2
        (letter,) = map(json.loads, dead.getvalue().splitlines())
        assert letter["headers"]["tidemill.error.class"] == "NoModel"

    def test_slices(self) -> None:
        """Results are written while a long input is read."""
        written: list[int] = []

        class Watching(Upper):
            def predict_all(self, inputs: list[str]) -> list[str]:
                written.append(len(results.getvalue().splitlines()))
                return super().predict_all(inputs)

        results = io.BytesIO()
        source = io.BytesIO(b'{"lang": "en", "text": "x"}\n' * 200)
        predict(single_routes([SPEC]), source, results, io.BytesIO(), load=lambda _: Watching())
        assert written == [0, 64, 128, 192]


MODEL = """
import json, sys

class Model:
    def __init__(self, fail_on=None, after=0):
        print("loading: a model may print")
        self.fail_on = fail_on
        self.calls_left = after

    def predict_all(self, inputs):
        print("predicting")
        self.calls_left -= 1
        if self.fail_on in inputs and self.calls_left < 0:
            raise ConnectionError("away")
        return [json.dumps(text.upper()) for text in inputs]
"""


@contextmanager
def command(folder: Path, *arguments: str, options: dict[str, Any] | None = None) -> Iterator[Any]:
    """Run `tidemill predict` in a folder with a model that prints."""
    (folder / "printing_model.py").write_text(MODEL)
    entry: dict[str, Any] = {"name": "m", "version": "1", "sample": "s"}
    entry |= {"adapter": "printing_model:Model", "options": options or {}}
    entry |= {"payload": "text", "result": "out"}
    (folder / "models.yaml").write_text(yaml.safe_dump({"models": [entry]}))
    with subprocess.Popen(
        [sys.executable, "-m", "tidemill", "predict", *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": PYTHONPATH},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def line(text: str) -> bytes:
    """Return a message as a line."""
    return json.dumps({"text": text, "uuid": text}).encode() + b"\n"


class TestCommand:
    """The command is a filter: lines in, results out."""

    def test_answers_at_once(self, tmp_path: Path) -> None:
        """A result is written before the next line arrives; the model prints to stderr."""
        with command(tmp_path) as process:
            for text in ("a", "b"):
                process.stdin.write(line(text))
                process.stdin.flush()
                assert select.select([process.stdout], [], [], PATIENCE_S)[0]
                assert json.loads(process.stdout.readline())["out"] == text.upper()
            rest, log = process.communicate(timeout=PATIENCE_S)
            assert (process.returncode, rest) == (0, b"")
            assert b"predicting" in log

    def test_files(self, tmp_path: Path) -> None:
        """Lines come from a file, and dead letters go to a new file."""
        (tmp_path / "in.jsonl").write_bytes(line("a") + b"no JSON\n")
        arguments = ("--input", "in.jsonl", "--dead-letters", "dead.jsonl")
        with command(tmp_path, *arguments) as process:
            results, _ = process.communicate(timeout=PATIENCE_S)
        assert [json.loads(each)["out"] for each in results.splitlines()] == ["A"]
        (letter,) = map(json.loads, (tmp_path / "dead.jsonl").read_text().splitlines())
        assert letter["value"] == "no JSON"
        assert letter["headers"]["tidemill.error.class"] == "InvalidJson"
        with command(tmp_path, *arguments) as process:  # the old dead letters are not overwritten
            _, log = process.communicate(timeout=PATIENCE_S)
            assert process.returncode == 2
            assert b"dead.jsonl" in log

    def test_outage(self, tmp_path: Path) -> None:
        """A model that is down ends the command; earlier results are there, no line is blamed."""
        options = {"fail_on": "s", "after": 2}  # its sample, once it was loaded
        with command(tmp_path, options=options) as process:
            process.stdin.write(line("a"))
            process.stdin.flush()
            assert json.loads(process.stdout.readline())["out"] == "A"
            results, log = process.communicate(line("s"), timeout=PATIENCE_S)
        assert (process.returncode, results) == (1, b"")
        assert b"model m:1 fails on its own sample" in log
        assert b"tidemill.error.class" not in log

    def test_wrong_entry(self, tmp_path: Path) -> None:
        """A model that does not work fails the command before any line, and creates no file."""
        options = {"fail_on": "s"}
        with command(tmp_path, "--dead-letters", "dead.jsonl", options=options) as process:
            _, log = process.communicate(timeout=PATIENCE_S)
        assert process.returncode == 1
        assert b"model m:1 fails on its own sample" in log
        assert not (tmp_path / "dead.jsonl").exists()

    def test_reader_that_ends(self, tmp_path: Path) -> None:
        """`tidemill predict | head -1` ends without a traceback."""
        with command(tmp_path) as process:
            process.stdin.write(line("a"))
            process.stdin.flush()
            process.stdout.readline()
            process.stdout.close()
            _, log = process.communicate(line("b"), timeout=PATIENCE_S)
        assert process.returncode == 1
        assert b"rror" not in log.replace(b"error_message", b"")

    def test_interrupt(self, tmp_path: Path) -> None:
        """Ctrl-C ends it without a traceback."""
        with command(tmp_path) as process:
            process.stdin.write(line("a"))
            process.stdin.flush()
            process.stdout.readline()
            process.send_signal(signal.SIGINT)
            _, log = process.communicate(timeout=PATIENCE_S)
        assert process.returncode == 130
        assert b"Traceback" not in log

    @pytest.mark.parametrize("section", ["kafka", "stream", "monitoring", "spark"])
    def test_settings_of_others(self, tmp_path: Path, section: str) -> None:
        """The command checks only the settings that it needs."""
        (tmp_path / "config.yaml").write_text(f"{section}: {{bootstrap_servers: 7, nope: [1]}}")
        with command(tmp_path) as process:
            results, log = process.communicate(line("a"), timeout=PATIENCE_S)
        assert process.returncode == 0, log
        assert json.loads(results)["out"] == "A"
