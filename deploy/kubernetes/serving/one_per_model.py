"""Print manifests that run servers of its own for each name in a models.yaml: arguments only.

The manifests of this folder are the template. Entries with the same name share their servers,
because V2 finds them under one name.
"""

from __future__ import annotations

import argparse
import copy
import hashlib
import re
import sys
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import yaml

from tidemill.errors import ConfigurationError
from tidemill.errors.base import one_line
from tidemill.models.catalogue import load_models
from tidemill.models.entry import Entry
from tidemill.models.expand import expand
from tidemill.serving.catalogue import Catalogue

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from tidemill.inference.route import Route

FOLDER = Path(__file__).parent
ALL, ALL_SERVERS, IMAGE = "tidemill-serve", "tidemill-servers", "tidemill:serve"
HEADER = "tidemill-model"  # of HTTP and gRPC
# The most matches in a rule, by the Gateway API.
MAX_MATCHES = 64
MAX_LABEL = 63
Manifest = dict[str, Any]


def main() -> None:
    """Print the manifests for a file of models and an image."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("models", type=Path, help="a models.yaml")
    parser.add_argument("image", help="the image that the servers run")
    options = parser.parse_args()
    try:
        routes = load_models(options.models)  # which checks the whole file
    except ConfigurationError as error:
        problems = "; ".join([error.message, *error.problems])
        sys.stderr.write(f"{one_line(problems)} ({error.hint})\n")
        sys.exit(2)
    document = yaml.safe_load(options.models.read_text("utf-8"))
    groups = group(document, routes, options.models.parent.absolute())
    found = manifests(document, groups, template(), options.image)
    yaml.safe_dump_all(found, sys.stdout, sort_keys=False)


def group(
    document: Mapping[str, Any], routes: Sequence[Route], folder: Path
) -> dict[str, tuple[list[Any], Catalogue]]:
    """Return the entries with each name, and what they serve; every entry has routes of its own."""
    entries: dict[str, list[Any]] = {}
    own: dict[str, list[Route]] = {}
    remaining = iter(routes)
    for raw in document["models"]:
        written = {name: each or {} for name, each in raw.get("variants", {}).items()}
        entry = msgspec.convert(raw | {"variants": written}, Entry)
        fields = document.get("endpoints", {}).get(entry.endpoint)
        count = len(list(expand(entry, fields and tuple(fields), folder)))
        entries.setdefault(raw["name"], []).append(raw)
        own.setdefault(raw["name"], []).extend(islice(remaining, count))
    return {name: (entries[name], Catalogue(own[name])) for name in entries}


def template() -> list[Manifest]:
    """Return the manifests of this folder that each name gets a copy of."""
    files = ["deployment", "service", "disruption-budget", "gateway/routes"]
    texts = [(FOLDER / f"{file}.yaml").read_text("utf-8") for file in files]
    return [each for text in texts for each in yaml.safe_load_all(text)]


def manifests(
    document: Mapping[str, Any],
    groups: Mapping[str, tuple[list[Any], Catalogue]],
    copied: Sequence[Manifest],
    image: str,
) -> Iterator[Manifest]:
    """Yield copies of manifests for every name in a document of models."""
    settings = (FOLDER / "config.yaml").read_text("utf-8")
    for name, (own, served) in groups.items():
        models = yaml.safe_dump(dict(document) | {"models": own}, sort_keys=False)
        label = dns_label(name)
        yield {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": label},
            "data": {"config.yaml": settings, "models.yaml": models},
        }
        for each in copied:
            names = {ALL: label, ALL_SERVERS: f"{label}-servers", IMAGE: image}
            renamed = replace(each, names)
            renamed["metadata"].pop("namespace", None)
            if each["kind"] == "HTTPRoute":
                paths = [f"/v2/models/{route.name}" for route in served.routes] + [*served.paths]
                matches = [{"path": {"type": "PathPrefix", "value": path}} for path in paths]
                yield from split(renamed, matches)
            elif each["kind"] == "GRPCRoute":
                headers = [{"name": HEADER, "value": route.name} for route in served.routes]
                yield from split(renamed, [{"headers": [header]} for header in headers])
            else:
                # A new models.yaml replaces the pods.
                if each["kind"] == "Deployment":
                    annotations = renamed["spec"]["template"]["metadata"]["annotations"]
                    annotations["tidemill/models"] = hashlib.sha256(models.encode()).hexdigest()
                yield renamed


def dns_label(name: str) -> str:
    """Return a name for Kubernetes, which is another one for every name of a model."""
    label = f"serve-{re.sub(r'[^a-z0-9-]+', '-', name.lower()).strip('-')}"
    if label == f"serve-{name}" and len(label) <= MAX_LABEL - len("-servers"):
        return label
    return f"{label[:40].rstrip('-')}-{hashlib.sha256(name.encode()).hexdigest()[:10]}"


def replace(value: Any, names: Mapping[str, str]) -> Any:  # noqa: ANN401 - of any depth
    """Return a copy of a value in which some texts are replaced by others."""
    if isinstance(value, dict):
        return {key: replace(inner, names) for key, inner in value.items()}
    if isinstance(value, list):
        return [replace(inner, names) for inner in value]
    return names.get(value, value) if isinstance(value, str) else value


def split(route: Manifest, matches: Sequence[Any]) -> Iterator[Manifest]:
    """Yield copies of a route that together have some matches, each once; as many as needed."""
    unique = list({repr(match): match for match in matches}.values())
    for start in range(0, len(unique), MAX_MATCHES):
        part = copy.deepcopy(route)
        if start:
            part["metadata"]["name"] += f"-{start // MAX_MATCHES}"
        part["spec"]["rules"][0]["matches"] = unique[start : start + MAX_MATCHES]
        yield part


if __name__ == "__main__":
    main()
