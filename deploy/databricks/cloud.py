"""The settings of a cluster that depend on its cloud."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from deploy.databricks.errors import VariableWrong

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

TEMPLATES = {name: Path(__file__).with_name(f"{name}.json") for name in ("aws", "azure", "gcp")}
CLOUD, HOST = "DATABRICKS_CLOUD", "DATABRICKS_HOST"
# Suffixes of workspace hosts.
HOSTS = {
    ".gcp.databricks.com": "gcp",
    ".azuredatabricks.net": "azure",
    ".databricks.azure.us": "azure",
    ".databricks.azure.cn": "azure",
    ".cloud.databricks.com": "aws",
    ".cloud.databricks.us": "aws",
}
# Variables and values that reveal the cloud if neither of the two does.
OF_AWS = ("ECR_REGISTRY", "INSTANCE_PROFILE_ARN")
OF_GCP = ("GOOGLE_SERVICE_ACCOUNT",)
REGISTRIES = {
    r"[^/]+\.dkr\.ecr\.[^/]+/": "aws",
    r"[^/]+\.azurecr\.(io|us|cn)/": "azure",
    r"([^/]+-docker\.pkg\.dev|([^/]+\.)?gcr\.io)/": "gcp",
}
OF_SCHEME = {"s3": "aws", "s3a": "aws", "abfss": "azure", "gs": "gcp"}

# Allowed locations of an init script and of logs: the prefix, and the API's name for it.
WORKSPACE = dict.fromkeys(("/Workspace/", "/Users/", "/Shared/"), "workspace")
S3 = {"s3://": "s3"}
VOLUMES = {"/Volumes/": "volumes"}
INIT_SCRIPTS = VOLUMES | WORKSPACE | S3 | {"abfss://": "abfss", "gs://": "gcs"}
LOGS = VOLUMES | {"dbfs:/": "dbfs"} | S3
PLACES = {
    "INIT_SCRIPTS_DESTINATION": INIT_SCRIPTS,
    "INIT_SCRIPTS_DESTINATION_S3": S3,
    "LOG_DESTINATION": LOGS,
    "LOG_DESTINATION_S3": S3,
}


def cloud_of(values: Mapping[str, str]) -> str | None:
    """Return `aws`, `azure` or `gcp`; None if the variables name no cloud, or several.

    `DATABRICKS_CLOUD` decides, then the workspace's host, then variables of a single cloud.

    Raises:
        VariableWrong: The cloud is unknown.

    """
    if named := values.get(CLOUD, "").lower():
        if named not in TEMPLATES:
            raise VariableWrong(CLOUD, f"aws, azure or gcp, not {values[CLOUD]!r}")
        return named
    host = values.get(HOST, "")
    name = urlsplit(host if "://" in host else f"//{host}").hostname or ""
    for ending, cloud in HOSTS.items():
        if name.endswith(ending):
            return cloud
    found = set(_signs(values))
    return found.pop() if len(found) == 1 else None


def _signs(values: Mapping[str, str]) -> Iterator[str]:
    """Yield the clouds that variables point to."""
    for cloud, names in {"aws": OF_AWS, "gcp": OF_GCP}.items():
        yield from (cloud for name in names if name in values)
    image = values.get("IMAGE_NAME", "")
    yield from (cloud for pattern, cloud in REGISTRIES.items() if re.match(pattern, image))
    for name in (*PLACES, "TIDEMILL__STREAM__CHECKPOINT_LOCATION"):
        scheme, separator, _ = values.get(name, "").partition("://")
        if separator and scheme in OF_SCHEME:
            yield OF_SCHEME[scheme]


def needed(cloud: str | None, values: Mapping[str, str]) -> Iterator[str]:
    """Yield the additional variables that a cluster needs on this cloud."""
    if cloud is None:
        yield f"{HOST} or {CLOUD} (aws, azure or gcp)"
        return
    if cloud != "aws":
        return
    on_s3 = any(values.get(name, "").startswith("s3://") for name in PLACES)
    private = "ECR_REGISTRY" in values or ".dkr.ecr." in values.get("IMAGE_NAME", "")
    if on_s3:
        yield "AWS_REGION"
    # The cluster's identity: it reads ECR and the init script, and writes logs.
    if on_s3 or (private and "REGISTRY_USERNAME" not in values):
        yield "INSTANCE_PROFILE_ARN"


def of_cloud(cloud: str, values: Mapping[str, str]) -> dict[str, Any]:
    """Return the cluster settings of a cloud, with variables still to fill in.

    Raises:
        VariableWrong: A location is invalid or belongs to another cloud.

    """
    attributes = json.loads(TEMPLATES[cloud].read_text(encoding="utf-8"))
    for part in attributes.values():
        for name, value in list(part.items()):
            variable = re.fullmatch(r"\$\{(\w+)\}", str(value))
            if variable and variable[1] not in values:
                del part[name]  # optional: the required ones are checked elsewhere
    settings: dict[str, Any] = attributes
    if script := _place("INIT_SCRIPTS_DESTINATION", cloud, values):
        settings["init_scripts"] = [script]
    if logs := _place("LOG_DESTINATION", cloud, values):
        settings["cluster_log_conf"] = logs
    return settings


def _place(name: str, cloud: str, values: Mapping[str, str]) -> dict[str, Any] | None:
    """Return a location for the API, None if it is not set; the older variable ends with _S3."""
    given = next((n for n in (name, f"{name}_S3") if n in values), None)
    if given is None:
        return None
    kinds = {
        begin: kind
        for begin, kind in PLACES[given].items()
        if OF_SCHEME.get(begin.partition("://")[0], cloud) == cloud
    }
    for begin, kind in kinds.items():
        if values[given].startswith(begin):
            region = {"region": "${AWS_REGION}"} if kind == "s3" else {}
            return {kind: {"destination": f"${{{given}}}", **region}}
    fitting = " or ".join(f"{begin}…" for begin in kinds)
    raise VariableWrong(given, f"{fitting or 'left out'} on {cloud}, not {values[given]!r}")
