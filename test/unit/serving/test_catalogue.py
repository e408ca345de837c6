"""Tests of the catalogue: it finds models by name, version and path."""

from __future__ import annotations

import pytest
from specs import make_spec

from tidemill.errors import InvalidRequest, ModelNotFound, TableNotFound
from tidemill.inference.route import Route, Variant
from tidemill.serving.catalogue import Catalogue, TableTarget, Target

VARIANTS = [make_spec(name="ab", version=version) for version in "12"]
SPLIT = Route("ab", {}, (Variant("one", VARIANTS[0], 30), Variant("two", VARIANTS[1], 70)))


def route(name: str, version: str = "1", path: str | None = None) -> Route:
    """Return a route to one model."""
    spec = make_spec(name=name, version=version)
    return Route(name, {}, (Variant(version, spec),), path=path)


class TestCatalogue:
    """Models by name and version, and by path."""

    catalogue = Catalogue(
        [
            route("upper"),
            route("many", "1"),
            route("many", "2"),
            route("taxi", path="/fare/2/TAXI"),
            route("v2"),
            SPLIT,
        ]
    )

    def test_name(self) -> None:
        """A name leads to its route, with all variants."""
        assert self.catalogue.find("upper").specs == (make_spec(name="upper"),)
        assert self.catalogue.find("ab") == Target(SPLIT)
        assert self.catalogue.find("v2").specs == (make_spec(name="v2"),)

    def test_version(self) -> None:
        """A name and a version lead to one model, which may be a variant."""
        assert self.catalogue.find("many", "2").specs == (make_spec(name="many", version="2"),)
        assert self.catalogue.find("ab", "2") == Target(SPLIT, SPLIT.variants[1])
        assert self.catalogue.versions("many") == self.catalogue.versions("ab") == ("1", "2")
        assert self.catalogue.versions("none") == ()

    def test_ambiguous(self) -> None:
        """If several entries have a name, the request must name a version."""
        with pytest.raises(InvalidRequest, match="several versions, such as 1, 2: name one"):
            self.catalogue.find("many")

    def test_variants_of_another_name(self) -> None:
        """A variant has a name of its own, which leads to it without a version."""
        variants = (Variant("old", make_spec(name="old")), Variant("new", make_spec(name="new")))
        catalogue = Catalogue([Route("both", {}, variants)])
        assert catalogue.find("new").variant == variants[1]
        assert catalogue.find("both").variant is None
        assert catalogue.versions("both") == catalogue.versions("new") == ("1",)

    @pytest.mark.parametrize(
        ("name", "version", "message", "hint"),
        [
            ("uper", None, "there is no model 'uper'", "Did you mean upper?"),
            ("uper", "1", "there is no model 'uper'", "Did you mean upper?"),
            ("many", "3", "there is no model 'many:3'", "Did you mean many:1 or many:2?"),
            ("", None, "there is no model ''", "POST /v2/repository/index"),
            ("x" * 10_000, None, "there is no model", "POST /v2/repository/index"),
        ],
    )
    def test_unknown(self, name: str, version: str | None, message: str, hint: str) -> None:
        """An unknown name or version is reported with those that are near."""
        with pytest.raises(ModelNotFound) as caught:
            self.catalogue.find(name, version)
        assert caught.value.message.startswith(message)
        assert len(caught.value.message) <= 160
        assert caught.value.hint.startswith(hint)

    def test_path(self) -> None:
        """A path is an endpoint with its parameters, or else the name of one entry."""
        assert sorted(self.catalogue.paths) == ["/ab", "/fare/2/TAXI", "/upper"]
        assert self.catalogue.find_path("/fare/2/TAXI").specs == (make_spec(name="taxi"),)
        assert self.catalogue.find_path("/ab") == Target(SPLIT)

    @pytest.mark.parametrize("path", ["/", "", "/taxi", "/many", "/v2", "/fare/2", "/upper/"])
    def test_no_path(self, path: str) -> None:
        """Ambiguous names, names of the server's own paths, and parts of paths lead nowhere."""
        with pytest.raises(ModelNotFound, match="there is no path"):
            self.catalogue.find_path(path)

    def test_path_as_name(self) -> None:
        """A name that begins with a slash is a path, quoted or not, which has no versions."""
        catalogue = Catalogue([route("taxi", path="/fare/a%20b")])
        assert catalogue.find("/fare/a b") == catalogue.find("/fare/a%20b")
        assert catalogue.find("/fare/a b").route.name == "taxi"
        with pytest.raises(InvalidRequest, match="has no versions"):
            catalogue.find("/fare/a b", "1")

    def test_near_path(self) -> None:
        """The hint names a path that is near."""
        with pytest.raises(ModelNotFound) as caught:
            self.catalogue.find_path("/fare/2/TAXY")
        assert caught.value.hint.startswith("Did you mean /fare/2/TAXI?")

    def test_path_before_name(self) -> None:
        """An endpoint wins against a name."""
        catalogue = Catalogue([route("a", path="/b"), route("b")])
        assert catalogue.find_path("/b").specs == (make_spec(name="a"),)

    def test_mlflow_paths(self) -> None:
        """MLflow's path follows each path; alone, it is that of the only route."""
        paths = self.catalogue.mlflow_paths
        assert sorted(paths) == [f"{path}/invocations" for path in sorted(self.catalogue.paths)]
        only = Catalogue([SPLIT])
        assert only.mlflow_paths == {"/ab/invocations": SPLIT, "/invocations": SPLIT}
        with pytest.raises(ModelNotFound) as caught:
            self.catalogue.find_path("/invocations")
        assert "/NAME/invocations" in caught.value.hint

    def test_only(self) -> None:
        """A part of a catalogue knows only the models whose names match."""
        part = self.catalogue.only(["up*", "ab"], ["*"])
        assert sorted(part.paths) == ["/ab", "/upper"]
        with pytest.raises(ModelNotFound):
            part.find("taxi")
        assert self.catalogue.only(["x", "*"], ["*"], ["*"]) is self.catalogue
        assert not self.catalogue.only([], ["*"]).routes

    def test_tables(self) -> None:
        """A table has a name that no model can have, and by default there is none."""
        served = Catalogue([], ["users"])
        assert served.find_served("features:users", "7") == TableTarget("users", "7")
        for catalogue, name in ((served, "features:items"), (self.catalogue, "features:users")):
            with pytest.raises(TableNotFound):
                catalogue.find_served(name)
