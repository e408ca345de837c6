"""Models are found by their names."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from specs import make_spec

from tidemill.errors import SeveralModels, UnknownModel
from tidemill.inference.route import Route, Variant
from tidemill.models.lookup import choose, select

if TYPE_CHECKING:
    from collections.abc import Sequence


def route(name: str, *models: str, path: str | None = None) -> Route:
    """Return a route whose variants are called a, b, c."""
    parts = [model.split(":") for model in models]
    specs = [make_spec(name=model, version=version) for model, version in parts]
    variants = zip("abc", specs, strict=False)
    share = 100 / len(specs)
    return Route(name, {"n": name}, tuple(Variant(v, s, share) for v, s in variants), path=path)


ROUTES = (
    route("ner", "ner:1"),
    route("taxi", "taxi:1", "taxi:2", path="/eta/taxi"),
    route("bus", "bus:1", "coach:1", path="/eta/bus"),
    route("tram", "tram:1"),
    route("tram", "tram:2"),
)


def ids(names: Sequence[str]) -> list[str]:
    """Return the ids of the models with any of the names."""
    return [variant.spec.id for _, variant in select(ROUTES, names)]


class TestSelect:
    """A name selects models."""

    @pytest.mark.parametrize(
        ("names", "expected"),
        [
            (["ner"], ["ner:1"]),
            (["ner:1"], ["ner:1"]),
            (["taxi"], ["taxi:1", "taxi:2"]),
            (["taxi:2"], ["taxi:2"]),
            (["bus"], ["bus:1", "coach:1"]),
            (["coach"], ["coach:1"]),
            (["/eta/taxi"], ["taxi:1", "taxi:2"]),
            (["/eta/*"], ["taxi:1", "taxi:2", "bus:1", "coach:1"]),
            (["t*:1"], ["taxi:1", "tram:1"]),
            (["tram"], ["tram:1", "tram:2"]),
            (["coach:?", "ner"], ["ner:1", "coach:1"]),
            (["ner", "ner:1"], ["ner:1"]),
        ],
    )
    def test_name(self, names: list[str], expected: list[str]) -> None:
        """Models, routes and paths have names; the models keep the order of the file."""
        assert ids(names) == expected

    def test_all(self) -> None:
        """Without a name, every model is selected."""
        assert ids([]) == ids(["*"])
        assert len(ids([])) == 7

    @pytest.mark.parametrize("name", ["", "ne", "ner:", "er", "NER", "a", "ner.*", "taxi:1 "])
    def test_whole_name(self, name: str) -> None:
        """Part of a name, a regular expression or a variant's name is no name."""
        with pytest.raises(UnknownModel, match="no model is named"):
            select(ROUTES, ["ner", name])

    @pytest.mark.parametrize(
        ("name", "near"),
        [("nre", "Did you mean ner"), ("taxi:3", "taxi:"), ("/eta/buss", "Did you mean /eta/bus")],
    )
    def test_nearest(self, name: str, near: str) -> None:
        """The error suggests the nearest names."""
        with pytest.raises(UnknownModel) as caught:
            select(ROUTES, [name])
        assert near in caught.value.hint

    def test_nothing_near(self) -> None:
        """If nothing is near, the error suggests the list."""
        with pytest.raises(UnknownModel) as caught:
            select(ROUTES, ["xyz"])
        assert caught.value.hint == "`tidemill models list` shows all models."


class TestChoose:
    """A name, with a variant or a key, means one model."""

    @pytest.mark.parametrize(
        ("name", "variant", "expected"),
        [
            ("ner", None, "ner:1"),
            ("taxi:2", None, "taxi:2"),
            ("taxi", "b", "taxi:2"),
            ("taxi:2", "b", "taxi:2"),
            ("/eta/bus", "a", "bus:1"),
            ("coach", None, "coach:1"),
        ],
    )
    def test_one(self, name: str, variant: str | None, expected: str) -> None:
        """The name of a model suffices; a route needs the name of a variant."""
        chosen, each = choose(ROUTES, name, variant=variant)
        assert each.spec.id == expected
        assert each in chosen.variants

    @given(st.text())
    def test_key(self, key: str) -> None:
        """A key chooses the variant that a message with that key gets."""
        _, variant = choose(ROUTES, "taxi", key=key)
        assert variant == ROUTES[1].choose(key.encode(errors="surrogatepass"))

    def test_key_of_one_model(self) -> None:
        """A key changes nothing if the name means one model."""
        for key in map(str, range(20)):
            assert choose(ROUTES, "taxi:2", key=key)[1].spec.id == "taxi:2"

    @pytest.mark.parametrize(
        ("name", "key"), [("taxi", None), ("tram", None), ("tram", "k"), ("t*", "k")]
    )
    def test_several(self, name: str, key: str | None) -> None:
        """If several models are meant, the error names them, and how to choose."""
        with pytest.raises(SeveralModels) as caught:
            choose(ROUTES, name, key=key)
        assert all(model in str(caught.value) for model in ids([name]))
        assert "--variant" in caught.value.hint

    @pytest.mark.parametrize("name", ["taxi", "taxi:1", "ner"])
    def test_no_such_variant(self, name: str) -> None:
        """The variant must be one of the models with the name."""
        with pytest.raises(UnknownModel, match=f"no variant of {name} is named 'z'"):
            choose(ROUTES, name, variant="z")

    def test_known_variants(self) -> None:
        """The error names the variants that there are."""
        with pytest.raises(UnknownModel) as caught:
            choose(ROUTES, "taxi", variant="z")
        assert caught.value.hint.startswith("Did you mean a or b?")
