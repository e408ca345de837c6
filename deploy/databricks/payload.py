"""Fill in job.json from the environment: the job's settings for the Jobs API."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from deploy.databricks import cloud, passed_on
from deploy.databricks.errors import VariablesMissing, VariableWrong

if TYPE_CHECKING:
    from collections.abc import Mapping

TEMPLATE = Path(__file__).with_name("job.json")
VARIABLE = re.compile(r"\$\{([A-Z0-9_]+)\}")
WHOLE_NUMBERS = ("MIN_WORKERS", "MAX_WORKERS", "SPOT_BID_PRICE_PERCENT")
# As in Docker, the part before the first slash is a registry if it has a dot or a port.
WITH_REGISTRY = re.compile(r"(localhost|[^/]*[.:][^/]*)/.+", re.DOTALL)
TOKEN_URL = f"{passed_on.PREFIX}KAFKA__OAUTH_TOKEN_URL"
THREADS = f"{passed_on.PREFIX}STREAM__WORKER_THREADS"


def fill_in(environ: Mapping[str, str], *, continuous: bool = False) -> dict[str, Any]:
    """Return the job's settings for the Jobs API.

    With `continuous`, Databricks keeps one run going, and the task has no retries of its own.

    Raises:
        VariablesMissing: Variables are not set or empty; the message names each.
        VariableWrong: A value is invalid.
        SettingsWrong: The job would refuse or ignore some of its settings.
        SecretInTheOpen: A secret is given as plain text, not as a reference.

    """
    template = json.loads(TEMPLATE.read_text(encoding="utf-8"))
    values = {name: value.strip() for name, value in environ.items() if value.strip()}
    values = {
        "DRIVER_INSTANCE_TYPE": values.get("INSTANCE_TYPE", "as the workers"),
        "SPOT_BID_PRICE_PERCENT": "100",
    } | values
    where = cloud.cloud_of(values)
    wanted = [*VARIABLE.findall(json.dumps(template)), *cloud.needed(where, values)]
    missing = [name for name in dict.fromkeys(wanted) if name not in values]
    if missing or where is None:
        raise VariablesMissing(missing)
    _check(values)
    values["IMAGE_NAME"] = _image(values)
    template["tasks"][0]["new_cluster"] |= cloud.of_cloud(where, values)
    settings: dict[str, Any] = replaced(template, values)
    (task,) = settings["tasks"]
    if account := _registry_account(values):
        task["new_cluster"]["docker_image"]["basic_auth"] = account
    _pass_on(task["new_cluster"], values)
    if continuous:
        for retry in ("max_retries", "min_retry_interval_millis", "retry_on_timeout"):
            del task[retry]
        settings["continuous"] = {"pause_status": "UNPAUSED"}
    return settings


def _check(values: Mapping[str, str]) -> None:
    for name in WHOLE_NUMBERS:
        if not (values[name].isascii() and values[name].isdigit()):
            raise VariableWrong(name, f"a whole number, not {values[name]!r}")
    if int(values["MAX_WORKERS"]) < int(values["MIN_WORKERS"]):
        raise VariableWrong(
            "MAX_WORKERS", f"at least MIN_WORKERS, which is {values['MIN_WORKERS']}"
        )


def _image(values: Mapping[str, str]) -> str:
    """Return the image's URL, including its registry."""
    image = values["IMAGE_NAME"]
    if "://" in image:
        raise VariableWrong("IMAGE_NAME", f"an image's URL without {image.partition('://')[0]}://")
    if WITH_REGISTRY.fullmatch(image):
        return image
    if "ECR_REGISTRY" not in values:
        wanted = "a whole URL, such as registry.example.com/tidemill:1.0"
        raise VariableWrong("IMAGE_NAME", f"{wanted}, as ECR_REGISTRY is not set")
    return f"{values['ECR_REGISTRY']}/{image}"


def _registry_account(values: Mapping[str, str]) -> dict[str, str]:
    """Return the registry account; empty if the cluster authenticates itself."""
    names = {"username": "REGISTRY_USERNAME", "password": "REGISTRY_PASSWORD"}
    account = {field: values[name] for field, name in names.items() if name in values}
    if len(account) == 1:
        raise VariablesMissing(name for name in names.values() if name not in values)
    return account


def replaced(part: Any, values: Mapping[str, str]) -> Any:  # noqa: ANN401 - a JSON document
    """Return a document with its variables replaced; whole numbers become numbers."""
    if isinstance(part, dict):
        return {name: replaced(inner, values) for name, inner in part.items()}
    if isinstance(part, list):
        return [replaced(inner, values) for inner in part]
    if not isinstance(part, str):
        return part
    alone = VARIABLE.fullmatch(part)
    if alone and alone[1] in WHOLE_NUMBERS:
        return int(values[alone[1]])
    return VARIABLE.sub(lambda match: values[match[1]], part)


def _pass_on(cluster: dict[str, Any], values: Mapping[str, str]) -> None:
    """Pass the settings to the cluster, and to Spark those it needs before the job starts."""
    settings = passed_on.settings_of(values)
    cluster["spark_env_vars"] |= settings
    conf = cluster["spark_conf"]
    if threads := settings.get(THREADS):
        conf |= {name: threads for name in conf if name.endswith("_NUM_THREADS")}
    if url := settings.get(TOKEN_URL):
        # Set Kafka's own property, and the one of Databricks, which shades Kafka's classes.
        name = "org.apache.kafka.sasl.oauthbearer.allowed.urls"
        allowed = f"-D{name}={url} -Dkafkashaded.{name}={url}"
        for side in ("driver", "executor"):
            conf[f"spark.{side}.extraJavaOptions"] = allowed
