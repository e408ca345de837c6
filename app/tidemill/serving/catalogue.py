"""Find the models that a request names."""

from __future__ import annotations

from difflib import get_close_matches
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import quote, unquote

from tidemill.errors import InvalidRequest, ModelNotFound, TableNotFound, UnknownJob
from tidemill.models.expand import RESERVED_PATHS

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from tidemill.inference.model import ModelSpec
    from tidemill.inference.route import Route, Variant

INVOCATIONS = "/invocations"
# What precedes a table's name in V2; no model's name has a colon.
TABLES = "features:"
# How many names an error suggests.
MAX_LISTED = 5


class Target(NamedTuple):
    """The models that a request is for: a route, or only one of its variants."""

    route: Route
    variant: Variant | None = None

    @property
    def specs(self) -> tuple[ModelSpec, ...]:
        """Return the models that may answer."""
        variants = self.route.variants if self.variant is None else (self.variant,)
        return tuple(variant.spec for variant in variants)


class TableTarget(NamedTuple):
    """The table of the store that a V2 request is for, and its generation if it names one."""

    name: str
    generation: str | None


class Catalogue:
    """Find a request's models by path, or by name and version.

    And say which tables it may read, and for which jobs it may submit tasks.
    """

    def __init__(
        self, routes: Iterable[Route], *tables: Sequence[str], jobs: Iterable[str] = ()
    ) -> None:
        """Index the routes; a route without an endpoint has the path `/NAME`.

        A table of the store may be read if its name matches a pattern in each list of `tables`.
        MLflow's path `/invocations` follows each path; alone, it is that of the only route.
        """
        self.routes = tuple(routes)
        self._tables = tables
        self.jobs = frozenset(jobs)
        self._names: dict[str, list[Route]] = {}
        self._versions: dict[str, dict[str, Target]] = {}
        for route in self.routes:
            self._names.setdefault(route.name, []).append(route)
            for variant in route.variants:
                versions = self._versions.setdefault(variant.spec.name, {})
                versions[variant.spec.version] = Target(route, variant)
        self.paths = {route.path: route for route in self.routes if route.path is not None}
        for name, named in self._names.items():
            if len(named) == 1 and named[0].path is None and name not in RESERVED_PATHS:
                self.paths.setdefault(f"/{name}", named[0])
        self.mlflow_paths = {
            f"{path}{INVOCATIONS}": route
            for path, route in self.paths.items()
            if f"{path}{INVOCATIONS}" not in self.paths
        }
        if len(self.routes) == 1:
            self.mlflow_paths[INVOCATIONS] = self.routes[0]

    def only(
        self, patterns: Sequence[str], tables: Sequence[str], jobs: Sequence[str] = ()
    ) -> Catalogue:
        """Return the models, the tables and the jobs whose names match one of some patterns.

        In a pattern, `*` is any text.
        """
        if all("*" in each for each in (patterns, tables, jobs)):
            return self
        routes = (route for route in self.routes if _matches(route.name, patterns))
        named = (job for job in self.jobs if _matches(job, jobs))
        return Catalogue(routes, *self._tables, tables, jobs=named)

    def job(self, name: str) -> str:
        """Return the name of a job that tasks may be submitted for.

        Raises:
            UnknownJob: They may not.

        """
        if name not in self.jobs:
            raise UnknownJob(name, sorted(self.jobs))
        return name

    def has_table(self, name: str) -> bool:
        """Tell whether a table may be read, if there is one with this name."""
        return bool(self._tables) and all(_matches(name, each) for each in self._tables)

    def table(self, name: str) -> str:
        """Return the name of a table that may be read.

        Raises:
            TableNotFound: It may not.

        """
        if not self.has_table(name):
            raise TableNotFound(name)
        return name

    def find(self, name: str, version: str | None = None) -> Target:
        """Return the models with a name, and the version if there is one; or those under a path.

        Raises:
            ModelNotFound: There is no such model, or no such version of it.
            InvalidRequest: Several routes have the name, so the request must name a version. Or it
                names the version of a path.

        """
        if name.startswith("/"):
            if version is not None:
                raise InvalidRequest(f"a path, such as {name[:100]}, has no versions")
            return self.find_path(name)
        if version is not None:
            versions = self._versions.get(name)
            if versions is None:
                raise ModelNotFound("model", name, get_close_matches(name, self._versions))
            if version not in versions:
                raise ModelNotFound(
                    "model", f"{name}:{version}", [f"{name}:{v}" for v in versions][:MAX_LISTED]
                )
            return versions[version]
        routes = self._names.get(name, ())
        if len(routes) == 1:
            return Target(routes[0])
        versions = self._versions.get(name, {})
        if len(versions) == 1:
            return next(iter(versions.values()))
        if versions:
            listed = ", ".join([*versions][:MAX_LISTED])
            raise InvalidRequest(f"{name} has several versions, such as {listed}: name one")
        raise ModelNotFound("model", name, get_close_matches(name, self._names))

    def find_served(self, name: str, version: str | None = None) -> Target | TableTarget:
        """Return what V2 has under a name: models, or a table, `features:NAME`; see `find`.

        Raises:
            TableNotFound: The table may not be read.

        """
        if name.startswith(TABLES):
            return TableTarget(self.table(name.removeprefix(TABLES)), version)
        return self.find(name, version)

    def versions(self, name: str) -> tuple[str, ...]:
        """Return the versions of the models with a name."""
        routes = self._names.get(name, ())
        own = (variant.spec.version for route in routes for variant in route.variants)
        return tuple(dict.fromkeys([*own, *self._versions.get(name, ())]))

    def find_path(self, path: str) -> Target:
        """Return the models under a path, however its characters are quoted.

        Raises:
            ModelNotFound: There are none.

        """
        route = self.paths.get(quoted(path))
        if route is None:
            near = get_close_matches(path, self.paths)
            raise ModelNotFound("path", path, [f"/NAME{path}"] if path == INVOCATIONS else near)
        return Target(route)


def _matches(name: str, patterns: Sequence[str]) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in patterns)


def quoted(path: str) -> str:
    """Return a path as URLs have it."""
    return "/".join(quote(unquote(part), safe="") for part in path.split("/"))
