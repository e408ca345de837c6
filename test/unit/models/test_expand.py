"""Tests of entries that stand for many models, and for variants."""

from __future__ import annotations

from textwrap import dedent
from typing import TYPE_CHECKING

import pytest

from tidemill.errors import InvalidModels, SettingsFileUnreadable
from tidemill.inference.route import Route, all_specs
from tidemill.models import catalogue

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Load = Callable[[str], tuple[Route, ...]]


@pytest.fixture
def load(tmp_path: Path) -> Load:
    """Return what reads the text of a models.yaml."""

    def from_text(text: str) -> tuple[Route, ...]:
        (tmp_path / "models.yaml").write_text(dedent(text), "utf-8")
        return catalogue.load_models(tmp_path / "models.yaml")

    return from_text


@pytest.fixture
def problems(load: Load) -> Callable[[str], list[str]]:
    """Return what reads a wrong models.yaml, and returns its problems."""

    def of_text(text: str) -> list[str]:
        with pytest.raises(InvalidModels) as caught:
            load(text)
        return list(caught.value.problems) or [str(caught.value).partition(": ")[2]]

    return of_text


SEED = (
    "[{name: match_probability_2_TAXI_trafficunaware, version: 1, "
    "endpoint: probability, parameters: [2, TAXI, trafficunaware]}]"
)


class TestEndpoint:
    """An endpoint and parameters make a path, and the fields of a message lead to it."""

    def test_short(self, load: Load) -> None:
        """Four fields suffice for a model in MLflow's registry."""
        (route,) = load(f"models: {SEED}")
        (spec,) = all_specs([route])
        assert route.path == "/probability/2/TAXI/trafficunaware"
        assert spec.adapter == "mlflow"
        assert spec.artifact == "models:/match_probability_2_TAXI_trafficunaware/1"
        assert (spec.version, spec.result, spec.sample) == ("1", "prediction", None)

    def test_fields(self, load: Load) -> None:
        """The file names the fields of the parameters once, for all models of an endpoint."""
        (route,) = load(f"""
            endpoints: {{probability: [city, product, traffic]}}
            models: {SEED}
        """)
        assert route.match == {"city": 2, "product": "TAXI", "traffic": "trafficunaware"}

    def test_no_fields(self, load: Load) -> None:
        """Without them, no message leads to the model."""
        assert load(f"models: {SEED}")[0].match is None

    def test_no_parameters(self, load: Load) -> None:
        """An endpoint may have one model."""
        (route,) = load("models: [{name: m, version: 1, endpoint: eta/v2}]")
        assert (route.path, route.match) == ("/eta/v2", {})

    def test_quoted(self, load: Load) -> None:
        """A value is quoted in the path, so that it is one part of it."""
        (route,) = load("""
            models: [{name: m, version: 1, endpoint: e, parameters: ["a/b", "São Paulo"]}]
        """)
        assert route.path == "/e/a%2Fb/S%C3%A3o%20Paulo"


class TestMany:
    """One entry stands for many models."""

    def test_lists(self, load: Load) -> None:
        """A list of lists has the parameters of each; the models' names get them too."""
        routes = load("""
            endpoints: {eta: [city, product]}
            models:
              - {name: eta, version: 3, endpoint: eta, parameters: [[1, TAXI], [2, PHV]]}
        """)
        assert [spec.id for spec in all_specs(routes)] == ["eta_1_TAXI:3", "eta_2_PHV:3"]
        assert [route.path for route in routes] == ["/eta/1/TAXI", "/eta/2/PHV"]
        assert routes[1].match == {"city": 2, "product": "PHV"}

    def test_matrix(self, load: Load) -> None:
        """Values by field stand for all their combinations, and need no endpoint."""
        routes = load("""
            models:
              - name: eta-{product}-{city}
                version: 1
                adapter: my.models:Eta
                artifact: models/{name}.skops
                options: {city: "{city}", more: ["{product} {unknown}"]}
                parameters: {city: [1, 2, 3], product: [TAXI, PHV], kind: day}
        """)
        assert len(routes) == 6
        spec = all_specs(routes)[1]
        assert spec.name == "eta-PHV-1"
        assert spec.artifact is not None
        assert spec.artifact.endswith("/models/eta-PHV-1.skops")
        assert spec.options == {"city": 1, "more": ["PHV {unknown}"]}
        assert routes[1].match == {"city": 1, "product": "PHV", "kind": "day"}

    def test_two_hundred(self, load: Load) -> None:
        """Two hundred models take a few lines."""
        routes = load(f"""
            models:
              - name: p
                version: 1
                parameters: {{city: {list(range(50))}, product: [TAXI, PHV], kind: [a, b]}}
        """)
        assert len({spec.id for spec in all_specs(routes)}) == 200

    @pytest.mark.parametrize(
        ("parameters", "problem"),
        [
            ("[1, [2, 3]]", "line 5: m: parameters: must be a list of values, or a list of lists"),
            ("[1]", "line 5: m: parameters: needs 2 values: city, product"),
            ("[[1, A], [2]]", "line 5: m: parameters.1: needs 2 values: city, product"),
            ("{product: A, city: 1}", "must name the endpoint's fields in order: city, product"),
            ("[1, no]", "YAML reads no, off, yes and on as booleans"),
            ("[1, 2026-11-29]", "YAML reads it as a date"),
            ("[1, 010]", "line 5: YAML reads 010 as the number 8: put it in quotes"),
            ("[1, 12:30]", "line 5: YAML reads 12:30 as the number 750: put it in quotes"),
            ("[1, 1.5]", "got `float` (put it in quotes)"),
            ("{city: 1, product: []}", "parameters.product: needs one or more values"),
        ],
    )
    def test_wrong(
        self, problems: Callable[[str], list[str]], parameters: str, problem: str
    ) -> None:
        """Parameters that do not fit are named with their line."""
        (found,) = problems(f"""
            endpoints: {{eta: [city, product]}}
            models:
              - {{name: m, version: 1, endpoint: eta,
                parameters: {parameters}}}
        """)
        assert problem in found

    def test_no_endpoint(self, problems: Callable[[str], list[str]]) -> None:
        """A list of values needs an endpoint."""
        (found,) = problems("models: [{name: m, version: 1, parameters: [1]}]")
        assert "needs an `endpoint`" in found


class TestEndpoints:
    """The file names each endpoint's fields, and each entry's endpoint is one of them."""

    @pytest.mark.parametrize(
        ("entry", "problem"),
        [
            ("endpoint: et, parameters: [1]", "line 3: `endpoints` does not name the fields of et"),
            ("endpoint: et, parameters: [1]", "line 2: no entry has the endpoint eta, did you"),
            ("endpoint: eta, parameters: [1], match: {city: 2}", "match.city: is one of the"),
        ],
    )
    def test_wrong(self, problems: Callable[[str], list[str]], entry: str, problem: str) -> None:
        """A slip would keep the messages from their model."""
        found = problems(f"""
            endpoints: {{eta: [city]}}
            models: [{{name: m, version: 1, {entry}}}]
        """)
        assert any(problem in each for each in found), found

    def test_match(self, load: Load) -> None:
        """An entry whose endpoint's fields have no names may still say what it matches."""
        (route,) = load(
            "models: [{name: m, version: 1, endpoint: e, parameters: [1], match: {a: b}}]"
        )
        assert (route.path, route.match) == ("/e/1", {"a": "b"})

    def test_number_as_name(self, load: Load) -> None:
        """A field's name may be a number."""
        (route,) = load('models: [{name: m, version: 1, parameters: {"2024": 1}}]')
        assert route.match == {"2024": 1}


class TestVariants:
    """Variants differ from their entry, and share the keys."""

    def test_overrides(self, load: Load) -> None:
        """A variant has what it names, and the entry's rest."""
        (route,) = load("""
            models:
              - name: eta
                version: 1
                adapter: my.models:Eta
                sample: s
                options: {a: 1}
                variants:
                  control:
                  candidate: {weight: 10, version: 2, options: {b: 2}}
                split_by: user
        """)
        control, candidate = route.variants
        assert (control.name, control.weight, control.spec.id) == ("control", 90, "eta:1")
        assert (candidate.name, candidate.weight, candidate.spec.id) == ("candidate", 10, "eta:2")
        assert candidate.spec.options == {"b": 2}
        assert candidate.spec.sample == "s"
        assert (route.split_by, route.salt) == ("user", "eta")

    def test_registry(self, load: Load) -> None:
        """Each version has its own artifact."""
        (route,) = load("""
            models: [{name: m, version: 1, variants: {a: {}, b: {version: 2}, c: {name: n}}}]
        """)
        assert [spec.artifact for spec in all_specs([route])] == [
            "models:/m/1",
            "models:/m/2",
            "models:/n/1",
        ]
        assert sum(variant.weight for variant in route.variants) == pytest.approx(100)

    def test_same_split(self, load: Load) -> None:
        """The models of one entry assign a key to the same variant."""
        one, two = load("""
            models:
              - name: m
                version: 1
                parameters: {city: [1, 2]}
                variants: {a: {weight: 50}, b: {version: 2, weight: 50}}
        """)
        assert one.salt == two.salt
        assert all(one.choose(key).name == two.choose(key).name for key in map(str, range(100)))

    @pytest.mark.parametrize(
        ("variants", "problem"),
        [
            ("{a: {weight: 60}, b: {version: 2, weight: 50}}", "add up to 110, not to 100"),
            ("{a: {weight: 60}, b: {version: 2, weight: 30}}", "add up to 90, not to 100"),
            ("{a: {weight: 101}, b: {version: 2}}", "variants.a: weight: Expected `float` <= 100"),
            ("{a: {}, b: {weight: 10}}", "duplicate model m:1"),
            ("{a: {}, b: {verson: 2}}", "there is no field verson, did you mean version?"),
            ("{a: {}, a: {version: 2}}", "the key 'a' occurs twice"),
            ("{a: {}, b: {version: 2, artifact: 3}}", "variants.b: artifact: Expected `str`"),
            ("{a: {}, b: {version: '2 b'}}", "variants.b.version: '2 b' must begin with"),
            ("[a, b]", "variants: Expected `object`, got `array`"),
            ("{a: text}", "variants.a: must be a mapping"),
        ],
    )
    def test_wrong(self, problems: Callable[[str], list[str]], variants: str, problem: str) -> None:
        """What does not fit is named with its place."""
        found = problems(f"""
            models:
              - name: m
                version: 1
                variants: {variants}
        """)
        assert any(problem in each for each in found), found

    def test_reserved(self, problems: Callable[[str], list[str]]) -> None:
        """A result with variants has two more fields, whose names are taken."""
        (found,) = problems("""
            models:
              - {name: m, version: 1, result: variant, variants: {a: {}, b: {version: 2}}}
        """)
        assert "'variant' is a reserved field" in found


class TestInputs:
    """The sample tells whether a model gets text or JSON."""

    @pytest.mark.parametrize(
        ("fields", "sample", "is_text"),
        [
            ("sample: abc", "abc", True),
            ("sample: abc, payload: text", "abc", True),
            ("sample: 3, payload: n", "3", False),
            ("sample: [1, 2.5]", "[1,2.5]", False),
            ("sample: {a: 1, b: null}, payload: [a, b]", '{"a":1,"b":null}', False),
            ("sample: null", "null", False),
            ("payload: a", None, False),
            ("schema: {type: object, required: [a], properties: {a: {type: integer, minimum: 3}}}",
             '{"a":3}', False),
        ],
    )  # fmt: skip
    def test_sample(self, load: Load, fields: str, sample: str | None, is_text: bool) -> None:
        """Text is the input itself; any other value, and several fields, are JSON."""
        (spec,) = all_specs(load(f"models: [{{name: m, version: 1, {fields}}}]"))
        assert (spec.sample, spec.is_text) == (sample, is_text)

    def test_schema_file(self, load: Load, tmp_path: Path) -> None:
        """A schema may be in a file beside models.yaml."""
        (tmp_path / "s.json").write_text('{"type": "integer"}')
        (spec,) = all_specs(load("models: [{name: m, version: 1, schema: s.json}]"))
        assert spec.schema == {"type": "integer"}

    @pytest.mark.parametrize(
        ("schema", "problem"),
        [
            ("none.json", "schema: cannot read none.json"),
            ("{type: intger}", "schema: "),
            ("3", "schema: Expected `str | object`, got `int`"),
        ],
    )
    def test_wrong_schema(
        self, problems: Callable[[str], list[str]], schema: str, problem: str
    ) -> None:
        """A schema that cannot be read, or is wrong, is named."""
        (found,) = problems(f"models: [{{name: m, version: 1, schema: {schema}}}]")
        assert problem in found


class TestFile:
    """The file's own traps."""

    def test_anchors(self, load: Load) -> None:
        """Anchors and merges work."""
        routes = load("""
            models:
              - &base {name: a, version: 1, adapter: "x:Y", sample: s, match: {k: 1}}
              - {<<: *base, name: b, match: {k: 2}}
        """)
        assert [spec.id for spec in all_specs(routes)] == ["a:1", "b:1"]
        assert all_specs(routes)[1].adapter == "x:Y"

    def test_all_problems(self, problems: Callable[[str], list[str]]) -> None:
        """All problems are named at once, in the order of their lines."""
        found = problems("""
            endpoint: {}
            models:
              - name: a
                version: 1.0
                adaptor: x
              - {name: b c, version: 1}
              - {name: d, version: 1, name: e}
              - text
        """)
        assert [each.partition(": ")[0] for each in found] == [
            "line 2", "line 5", "line 6", "line 8", "line 9",
        ]  # fmt: skip
        assert "did you mean endpoints?" in found[0]
        assert "(put it in quotes: YAML drops the last zero of 1.10)" in found[1]
        assert "did you mean adapter?" in found[2]

    def test_place_for_anchors(self, load: Load) -> None:
        """Keys that begin with x- have room for anchors."""
        (route,) = load("""
            x-base: &base {version: 1, adapter: "a:B"}
            models: [{<<: *base, name: m}]
        """)
        assert route.variants[0].spec.id == "m:1"

    @pytest.mark.parametrize(
        ("entry", "problem"),
        [
            (
                "name: 'm-{citi}', parameters: {city: 1}",
                "there is no parameter citi; there are:",
            ),
            ("name: m, split_by: user", "split_by: needs `variants`"),
            ("name: m, payload: [a, b], sample: text", "sample: must be an object"),
            ("name: m, match: {a: 1.5}", "a message can be matched only on text and whole numbers"),
        ],
    )
    def test_wrong(self, problems: Callable[[str], list[str]], entry: str, problem: str) -> None:
        """What would have no effect, or another than its author meant, is a mistake."""
        (found,) = problems(f"models: [{{version: 1, {entry}}}]")
        assert problem in found

    def test_names(self, problems: Callable[[str], list[str]]) -> None:
        """A name has no blanks."""
        (found,) = problems("models: [{name: a b, version: 1}]")
        assert found.startswith("line 1: a b: name: 'a b' must begin with a letter or digit")

    def test_duplicate_path(self, problems: Callable[[str], list[str]]) -> None:
        """Two models cannot have one path."""
        (found,) = problems("""
            models:
              - {name: a, version: 1, endpoint: e, parameters: [1]}
              - {name: b, version: 1, endpoint: e, parameters: ["1"]}
        """)
        assert found == "line 4: b: a and b have the same path /e/1"

    def test_duplicate_match(self, problems: Callable[[str], list[str]]) -> None:
        """Two models cannot answer the same messages."""
        found = problems("models: [{name: a, version: 1}, {name: b, version: 1}]")
        assert found == ["line 1: b: a and b match the same messages: {}"]

    def test_encoding(self, tmp_path: Path, load: Load) -> None:
        """A file in another encoding is named, with what to do."""
        (tmp_path / "models.yaml").write_bytes("models: [{name: é}]".encode("latin-1"))
        with pytest.raises(SettingsFileUnreadable, match="it is not UTF-8") as caught:
            catalogue.load_models(tmp_path / "models.yaml")
        assert caught.value.hint == "Save the file as UTF-8."
