"""`tidemill models` lists, shows, checks and tries the models of a file."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
from typer.testing import CliRunner, Result

from dev import PYTHONPATH, ROOT
from tidemill.cli import cli
from tidemill.errors import (
    InputTooLong,
    InputUnreadable,
    InvalidInput,
    InvalidModels,
    InvalidUtf8,
    PredictionFailed,
    SeveralModels,
    UnknownModel,
)
from tidemill.inference.route import Route
from tidemill.models import catalogue

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Invoke = Callable[..., Result]

DOUBLES = ROOT / "test" / "doubles"
MODELS = """
models:
  - name: upper
    version: 1
    adapter: example_models:Upper
    match: {lang: en}
    payload: text
    sample: hello
    limits: {chars: 9}
  - name: taxi
    version: 1
    adapter: tried_models:Doubler
    endpoint: eta
    parameters: {city: [1, 2]}
    options: {factor: 2, api_key: hunter2}
    payload: [km, hour]
    sample: {km: 1, hour: 8}
    split_by: user
    variants:
      control:
      triple: {version: 2, weight: 25, options: {factor: 3}}
  - name: strict
    version: 1
    adapter: tried_models:Strict
    match: {kind: strict}
    payload: [km]
"""
BROKEN = """
models:
  - {name: fine, version: 1, adapter: "example_models:Upper", match: {n: 1}, sample: a}
  - {name: down, version: 1, adapter: "example_models:Upper", match: {n: 2}, sample: raise}
  - {name: gone, version: 1, adapter: "example_models:Gone", match: {n: 3}, sample: a}
"""


@pytest.fixture
def invoke(tmp_path: Path) -> Invoke:
    """Return what runs a command: `invoke("list", "--json", models=MODELS)`."""

    def run(*arguments: str, models: str = MODELS, stdin: bytes = b"") -> Result:
        (tmp_path / "models.yaml").write_text(models, "utf-8")
        (tmp_path / "c.yaml").write_text("models: models.yaml", "utf-8")
        command = ["models", *arguments, "--config", str(tmp_path / "c.yaml")]
        return CliRunner().invoke(cli, command, input=stdin)

    return run


def lines(result: Result) -> list[dict[str, Any]]:
    """Return the lines of JSON on standard output."""
    return [json.loads(line) for line in result.stdout.splitlines()]


class TestHelp:
    def test_commands(self) -> None:
        """Without a command, the commands are listed."""
        output = CliRunner().invoke(cli, ["models"]).output
        assert all(command in output for command in ("list", "show", "check", "try"))

    @pytest.mark.parametrize("command", ["list", "show", "check", "try"])
    def test_command(self, command: str) -> None:
        """Each command has help."""
        assert CliRunner().invoke(cli, ["models", command, "--help"]).exit_code == 0

    def test_fast(self) -> None:
        """Help imports no model, no YAML and no validator."""
        code = (
            "import sys; from tidemill.cli import cli; cli(['models', '--help'], "
            "standalone_mode=False); print(*sys.modules)"
        )
        environment = {**os.environ, "PYTHONPATH": PYTHONPATH}
        output = subprocess.run(
            [sys.executable, "-c", code],
            env=environment,
            capture_output=True,
            text=True,
            timeout=300,
            check=True,
        ).stdout
        modules = {name for name in output.split() if name.startswith("tidemill.")}
        assert "tidemill.cli.models" in modules
        assert {"tidemill.models.catalogue", "tidemill.models.host"} & modules == set()


class TestList:
    """`list` has a line for each model."""

    def test_table(self, invoke: Invoke) -> None:
        """The table has ids, adapters, messages, paths and shares."""
        result = invoke("list")
        assert result.exit_code == 0
        row = next(line for line in result.stdout.splitlines() if "taxi_1:2" in line)
        assert [cell.strip() for cell in row.strip("│┃ ").split("│")] == [
            "taxi_1:2",
            "tried_models:Doubler",
            "city=1",
            "/eta/1",
            "triple",
            "25%",
        ]
        assert "6 models" in result.stdout

    def test_without_variants(self, invoke: Invoke) -> None:
        """Columns that no model needs are left out."""
        result = invoke("list", "upper")
        assert "variant" not in result.stdout
        assert "path" not in result.stdout
        assert "1 model" in result.stdout

    def test_json(self, invoke: Invoke) -> None:
        """Each line has what the table has, and the route."""
        listed = {line["model"]: line for line in lines(invoke("list", "--json"))}
        assert list(listed) == [
            "upper:1",
            "taxi_1:1",
            "taxi_1:2",
            "taxi_2:1",
            "taxi_2:2",
            "strict:1",
        ]
        assert listed["taxi_2:1"] == {
            "model": "taxi_2:1",
            "name": "taxi_2",
            "version": "1",
            "adapter": "tried_models:Doubler",
            "route": "taxi_2",
            "match": {"city": 2},
            "path": "/eta/2",
            "variant": "control",
            "weight": 75.0,
        }
        assert listed["upper:1"]["variant"] is None
        assert listed["upper:1"]["path"] is None

    def test_names(self, invoke: Invoke) -> None:
        """Names and patterns select models."""
        listed = lines(invoke("list", "taxi_2*", "upper", "--json"))
        assert [line["model"] for line in listed] == ["upper:1", "taxi_2:1", "taxi_2:2"]

    def test_unknown(self, invoke: Invoke) -> None:
        """An unknown name is an error that suggests the nearest."""
        error = invoke("list", "taxi_3").exception
        assert isinstance(error, UnknownModel)
        assert "taxi_2" in error.hint

    def test_wrong_file(self, invoke: Invoke) -> None:
        """A wrong file is an error."""
        result = invoke("list", models="models: [{name: a}]")
        assert isinstance(result.exception, InvalidModels)


class TestShow:
    """`show` has everything about a model."""

    def test_parts(self, invoke: Invoke) -> None:
        """A route's name shows the route and all its variants."""
        output = invoke("show", "taxi_1").stdout
        for text in ("/eta/1", "city=1", "split_by", "user", "taxi_1:1", "taxi_1:2", "75%", "km"):
            assert text in output

    def test_secret(self, invoke: Invoke) -> None:
        """The value of an option that looks secret is shown nowhere."""
        for arguments in (["show", "taxi_1"], ["show", "taxi_1", "--json"], ["list", "--json"]):
            assert "hunter2" not in invoke(*arguments).output
        assert '"api_key":"***"' in invoke("show", "taxi_1").stdout

    def test_json(self, invoke: Invoke) -> None:
        """A line describes a route and its models."""
        (route,) = lines(invoke("show", "taxi_1:2", "--json"))
        assert (route["route"], route["path"], route["split_by"]) == ("taxi_1", "/eta/1", "user")
        (model,) = route["models"]
        assert (model["model"], model["variant"], model["weight"]) == ("taxi_1:2", "triple", 25.0)
        assert model["class"] == "tried_models:Doubler"
        assert model["payload"] == ["km", "hour"]
        assert model["input"] == "JSON"
        assert json.loads(model["sample"]) == {"km": 1, "hour": 8}
        assert model["limits"]["chars"] == 1_000_000

    def test_several_routes(self, invoke: Invoke) -> None:
        """A pattern shows several routes."""
        shown = lines(invoke("show", "taxi_*", "--json"))
        assert [(line["route"], len(line["models"])) for line in shown] == [
            ("taxi_1", 2),
            ("taxi_2", 2),
        ]


class TestCheck:
    """`check` loads models and runs their samples."""

    def test_table(self, invoke: Invoke) -> None:
        """Each model that works shows its output for the sample."""
        result = invoke("check", "upper", "taxi_1", "strict")
        assert result.exit_code == 0
        assert "4 models" in result.stdout
        assert '"HELLO"' in result.stdout
        assert '{"km":3,"hour":24}' in result.stdout

    def test_failures(self, invoke: Invoke) -> None:
        """Every model is checked; what is wrong and what to do follows the table."""
        result = invoke("check", models=BROKEN)
        assert "3 models, 2 failed" in result.stdout
        assert "✗ down:1: model down:1 fails on its own sample" in result.stdout
        assert "✗ gone:1: cannot load model gone:1" in result.stdout
        assert result.stdout.count("  hint: ") == 2

    @pytest.mark.parametrize(
        ("names", "code"), [(["fine"], 0), (["fine", "down"], 1), ([], 2), (["gone"], 2)]
    )
    def test_exit_code(self, invoke: Invoke, names: list[str], code: int) -> None:
        """It is 2 with any wrong configuration, otherwise 1 with any fault, otherwise 0."""
        assert invoke("check", *names, models=BROKEN).exit_code == code
        assert invoke("check", *names, "--json", models=BROKEN).exit_code == code

    def test_json(self, invoke: Invoke) -> None:
        """A line has figures and the output, or the error."""
        fine, down, gone = lines(invoke("check", "--json", models=BROKEN))
        assert (fine["ok"], fine["output"]) == (True, "A")
        assert fine["load_seconds"] >= 0
        assert (down["ok"], down["error"]["class"]) == (False, "ModelUnavailable")
        assert gone["error"]["class"] == "ModelMisconfigured"
        assert gone["error"]["hint"]


class TestTry:
    """`try` runs one model on one input."""

    def test_text(self, invoke: Invoke) -> None:
        """The output is printed as JSON, and nothing else is."""
        result = invoke("try", "upper", "hi")
        assert (result.exit_code, result.stdout) == (0, '"HI"\n')

    def test_json_input(self, invoke: Invoke) -> None:
        """JSON goes to a model that takes JSON; the output is indented."""
        result = invoke("try", "strict", '{"km": 2}')
        assert result.stdout == '{\n  "km": 4\n}\n'

    def test_json_line(self, invoke: Invoke) -> None:
        """With --json, a line has the model, the time and the output."""
        (line,) = lines(invoke("try", "taxi_1:2", '{"km": 2}', "--json"))
        assert line.pop("seconds") >= 0
        assert line == {"model": "taxi_1:2", "variant": "triple", "output": {"km": 6}}

    @pytest.mark.parametrize(
        ("stdin", "output"), [(b"hi\n", "HI"), (b"hi", "HI"), (b"a\nb\r\n", "A\nB"), (b"", "")]
    )
    def test_stdin(self, invoke: Invoke, stdin: bytes, output: str) -> None:
        """A dash stands for standard input, without the end of its last line."""
        assert json.loads(invoke("try", "upper", "-", stdin=stdin).stdout) == output

    def test_file(self, invoke: Invoke, tmp_path: Path) -> None:
        """@ reads a file."""
        (tmp_path / "input.json").write_text('{\n  "km": 1.5\n}\n', "utf-8")
        result = invoke("try", "strict", f"@{tmp_path / 'input.json'}")
        assert json.loads(result.stdout) == {"km": 3}

    def test_no_file(self, invoke: Invoke) -> None:
        """A file that is missing is named."""
        error = invoke("try", "upper", "@none.json").exception
        assert isinstance(error, InputUnreadable)
        assert "none.json" in error.message

    def test_encoding(self, invoke: Invoke) -> None:
        """Bytes that are not UTF-8 are refused."""
        error = invoke("try", "upper", "-", stdin="é".encode("utf-16")).exception
        assert isinstance(error, InvalidUtf8)

    def test_key(self, invoke: Invoke, tmp_path: Path) -> None:
        """A key gets the variant that a stream gives it; standard error tells which."""
        invoke("list")
        route = next(
            r for r in catalogue.load_models(tmp_path / "models.yaml") if r.name == "taxi_1"
        )
        assert isinstance(route, Route)
        chosen = set()
        for key in map(str, range(12)):
            variant = route.choose(key)
            (line,) = lines(invoke("try", "taxi_1", '{"km": 1}', "--key", key, "--json"))
            assert (line["model"], line["variant"]) == (variant.spec.id, variant.name)
            chosen.add(variant.name)
        assert chosen == {"control", "triple"}

    def test_variant(self, invoke: Invoke) -> None:
        """A variant can be forced; standard error tells which answered."""
        result = invoke("try", "taxi_1", '{"km": 1}', "--variant", "triple")
        assert json.loads(result.stdout) == {"km": 3}
        assert "variant triple: taxi_1:2" in result.stderr

    def test_path(self, invoke: Invoke) -> None:
        """The path of a route is a name too."""
        (line,) = lines(invoke("try", "/eta/2", '{"km": 1}', "--variant", "control", "--json"))
        assert line["model"] == "taxi_2:1"

    def test_several(self, invoke: Invoke) -> None:
        """A route with variants needs a choice."""
        assert isinstance(invoke("try", "taxi_1", "{}").exception, SeveralModels)

    @pytest.mark.parametrize("arguments", [["taxi_1", "--variant", "z"], ["upperr"]])
    def test_unknown(self, invoke: Invoke, arguments: list[str]) -> None:
        """An unknown model or variant is an error that suggests the nearest."""
        name, *options = arguments
        error = invoke("try", name, "x", *options).exception
        assert isinstance(error, UnknownModel)
        assert "Did you mean" in error.hint

    @pytest.mark.parametrize(
        ("name", "text", "expected"),
        [
            ("upper", "raise", PredictionFailed),
            ("upper", "ten letters", InputTooLong),
            ("strict", "{}", InvalidInput),
            ("strict", '{"km": "1"}', InvalidInput),
            ("strict", "{km: 1}", InputUnreadable),
            ("strict", "", InputUnreadable),
        ],
    )
    def test_error(self, invoke: Invoke, name: str, text: str, expected: type[Exception]) -> None:
        """Limits and schemas apply, and an error is raised for the log."""
        result = invoke("try", name, text)
        assert type(result.exception) is expected
        assert result.stdout == ""

    def test_error_as_json(self, invoke: Invoke) -> None:
        """With --json, an error is a line too; the exit code tells its kind."""
        result = invoke("try", "strict", "{}", "--json")
        (line,) = lines(result)
        assert result.exit_code == 1
        assert line["error"]["class"] == "InvalidInput"
        assert "km" in line["error"]["message"]

    @pytest.mark.parametrize("text", ["\x1b[2J", "\u202e", "\u00a0", "😀"])
    def test_hostile_output(self, invoke: Invoke, text: str) -> None:
        """What could control the terminal is escaped as JSON does, so the output stays the same."""
        models = MODELS.replace("example_models:Upper", "tried_models:Verbatim")
        for options in ([], ["--json"]):
            printed = invoke("try", "upper", text, *options, models=models).stdout
            assert printed.replace("\n", "").isprintable()
            document = json.loads(printed)
            assert (document["output"] if options else document) == text

    def test_numbers(self, invoke: Invoke) -> None:
        """Numbers keep their digits."""
        models = MODELS.replace("tried_models:Strict", "tried_models:Quoted")
        assert (
            invoke("try", "strict", '{"km": 1}', models=models).stdout == "[\n  1.10,\n  1e400\n]\n"
        )


class TestLoudModels:
    """What a model prints does not mix with the output."""

    @pytest.mark.parametrize(
        ("arguments", "output"),
        [
            (["try", "loud", "hi"], "hi"),
            (["try", "loud", "hi", "--json"], "hi"),
            (["check", "--json"], "a"),
        ],
    )
    def test_stdout(self, tmp_path: Path, arguments: list[str], output: str) -> None:
        """Only JSON is on standard output, even if the model prints in C."""
        entry = "{name: loud, version: 1, adapter: 'tried_models:Loud', sample: a}"
        (tmp_path / "models.yaml").write_text(f"models: [{entry}]", "utf-8")
        done = subprocess.run(
            [sys.executable, "-m", "tidemill", "models", *arguments],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": f"{PYTHONPATH}{os.pathsep}{DOUBLES}"},
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        document = json.loads(done.stdout)
        assert (document["output"] if "--json" in arguments else document) == output
        assert "loading from C" in done.stderr
        assert "predicting\n" in done.stderr
