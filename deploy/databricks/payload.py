"""A job's settings, as the Jobs API takes them: job.json filled in from the environment."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from deploy.databricks.errors import SecretInTheOpen, VariablesMissing, VariableWrong

if TYPE_CHECKING:
    from collections.abc import Mapping

TEMPLATE = Path(__file__).with_name("job.json")
VARIABLE = re.compile(r"\$\{([A-Z0-9_]+)\}")
WHOLE_NUMBERS = ("MIN_WORKERS", "MAX_WORKERS", "SPOT_BID_PRICE_PERCENT")
ON_S3 = ("INIT_SCRIPTS_DESTINATION_S3", "LOG_DESTINATION_S3")
SETTINGS = "TIDEMILL__"
# The job's settings that are secrets; and how one of Spark's settings tells that it is.
SECRETS = tuple(
    SETTINGS + name
    for name in (
        "KAFKA__SSL_KEY_PASSWORD",
        "KAFKA__SASL_PASSWORD",
        "KAFKA__OAUTH_CLIENT_SECRET",
        "MONITORING__PUSHGATEWAY_PASSWORD",
    )
)
SPARK_SETTINGS = f"{SETTINGS}SPARK"
SECRET_NAME = re.compile(r"(?i)secret|password|token|access[.]?key")
REFERENCE = re.compile(r"\{\{secrets/[^/{}]+/[^/{}]+\}\}")
TOKEN_URL = f"{SETTINGS}KAFKA__OAUTH_TOKEN_URL"
THREADS = f"{SETTINGS}STREAM__WORKER_THREADS"


def fill_in(environ: Mapping[str, str], *, continuous: bool = False) -> dict[str, Any]:
    """Return the settings of the job that the environment describes.

    With `continuous` Databricks keeps one run going, instead of the task's own retries.

    Raises:
        VariablesMissing: It names all that are not set, or empty.
        VariableWrong: A value cannot be.
        SecretInTheOpen: A secret is given as itself, not as a reference.

    """
    template = json.loads(TEMPLATE.read_text(encoding="utf-8"))
    values = {name: value.strip() for name, value in environ.items() if value.strip()}
    values = {
        "DRIVER_INSTANCE_TYPE": values.get("INSTANCE_TYPE", "as the workers"),
        "SPOT_BID_PRICE_PERCENT": "100",
    } | values
    wanted = dict.fromkeys(VARIABLE.findall(json.dumps(template)))
    if missing := [name for name in wanted if name not in values]:
        raise VariablesMissing(missing)
    _check(values)
    settings: dict[str, Any] = _replace(template, values)
    (task,) = settings["tasks"]
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
    for name in ON_S3:
        if not values[name].startswith("s3://"):
            raise VariableWrong(name, f"a place such as s3://bucket/folder, not {values[name]!r}")


def _replace(part: Any, values: Mapping[str, str]) -> Any:  # noqa: ANN401 - a JSON document
    """Return a document with its variables replaced; whole numbers are numbers."""
    if isinstance(part, dict):
        return {name: _replace(inner, values) for name, inner in part.items()}
    if isinstance(part, list):
        return [_replace(inner, values) for inner in part]
    if not isinstance(part, str):
        return part
    alone = VARIABLE.fullmatch(part)
    if alone and alone[1] in WHOLE_NUMBERS:
        return int(values[alone[1]])
    return VARIABLE.sub(lambda found: values[found[1]], part)


def _pass_on(cluster: dict[str, Any], values: Mapping[str, str]) -> None:
    """Give the cluster the job's settings, and to Spark what it must know before the job starts."""
    settings = {name: values[name] for name in sorted(values) if name.upper().startswith(SETTINGS)}
    for name, value in settings.items():
        if _is_open_secret(name, value):
            raise SecretInTheOpen(name)
    cluster["spark_env_vars"] |= settings
    conf = cluster["spark_conf"]
    if threads := settings.get(THREADS):
        conf |= {name: threads for name in conf if name.endswith("_NUM_THREADS")}
    if url := settings.get(TOKEN_URL):
        # By Kafka's own name, and as Databricks renames what belongs to Kafka.
        name = "org.apache.kafka.sasl.oauthbearer.allowed.urls"
        allowed = f"-D{name}={url} -Dkafkashaded.{name}={url}"
        for side in ("driver", "executor"):
            conf[f"spark.{side}.extraJavaOptions"] = allowed


def _is_open_secret(name: str, value: str) -> bool:
    if REFERENCE.fullmatch(value):
        return False
    if name.upper() == SPARK_SETTINGS:
        return bool(SECRET_NAME.search(" ".join(_keys(value))))
    return name.upper() in SECRETS


def _keys(document: str) -> list[str]:
    try:
        return list(json.loads(document))
    except (ValueError, TypeError):
        return [document]  # the job will refuse it
