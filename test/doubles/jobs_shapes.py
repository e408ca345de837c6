"""The documented request fields of the Jobs API (2.2), as far as our jobs could use them."""

from __future__ import annotations

from typing import Any

TEXT, WHOLE, FLAG = str, int, bool
TEXTS: Any = "a mapping of text to text"
PLACE: Any = {"destination": TEXT}

CLUSTER: dict[str, Any] = {
    "spark_version": TEXT,
    "data_security_mode": TEXT,
    "single_user_name": TEXT,
    "runtime_engine": TEXT,
    "node_type_id": TEXT,
    "driver_node_type_id": TEXT,
    "num_workers": WHOLE,
    "autoscale": {"min_workers": WHOLE, "max_workers": WHOLE},
    "docker_image": {"url": TEXT, "basic_auth": {"username": TEXT, "password": TEXT}},
    "aws_attributes": {
        "first_on_demand": WHOLE,
        "availability": TEXT,
        "zone_id": TEXT,
        "instance_profile_arn": TEXT,
        "spot_bid_price_percent": WHOLE,
        "ebs_volume_type": TEXT,
        "ebs_volume_count": WHOLE,
        "ebs_volume_size": WHOLE,
    },
    "azure_attributes": {
        "first_on_demand": WHOLE,
        "availability": TEXT,
        "spot_bid_max_price": WHOLE,
    },
    "gcp_attributes": {
        "first_on_demand": WHOLE,
        "availability": TEXT,
        "zone_id": TEXT,
        "google_service_account": TEXT,
        "boot_disk_size": WHOLE,
        "local_ssd_count": WHOLE,
    },
    "cluster_log_conf": {
        "s3": {"destination": TEXT, "region": TEXT, "canned_acl": TEXT},
        "volumes": PLACE,
        "dbfs": PLACE,
    },
    "init_scripts": [
        {
            "s3": {"destination": TEXT, "region": TEXT},
            "abfss": PLACE,
            "gcs": PLACE,
            "volumes": PLACE,
            "workspace": PLACE,
        }
    ],
    "spark_conf": TEXTS,
    "spark_env_vars": TEXTS,
    "custom_tags": TEXTS,
}
TASK: dict[str, Any] = {
    "task_key": TEXT,
    "description": TEXT,
    "new_cluster": CLUSTER,
    "spark_python_task": {"python_file": TEXT, "parameters": [TEXT], "source": TEXT},
    "max_retries": WHOLE,
    "min_retry_interval_millis": WHOLE,
    "retry_on_timeout": FLAG,
    "timeout_seconds": WHOLE,
}
JOB: dict[str, Any] = {
    "name": TEXT,
    "description": TEXT,
    "tags": TEXTS,
    "tasks": [TASK],
    "parameters": [{"name": TEXT, "default": TEXT}],
    "timeout_seconds": WHOLE,
    "max_concurrent_runs": WHOLE,
    "queue": {"enabled": FLAG},
    "continuous": {"pause_status": TEXT, "task_retry_mode": TEXT},
}


class Refused(Exception):
    """A request that the API would reject."""


def check(given: Any, shape: Any, path: str) -> None:  # noqa: ANN401 - JSON
    """Raise Refused if a document has an unknown field or a value of the wrong type."""
    if isinstance(shape, dict) and isinstance(given, dict):
        for name, inner in given.items():
            if name not in shape:
                raise Refused(f"unknown field {path}.{name}")
            check(inner, shape[name], f"{path}.{name}")
    elif isinstance(shape, list) and isinstance(given, list):
        for inner in given:
            check(inner, shape[0], path)
    elif shape is TEXTS and isinstance(given, dict):
        for name, inner in given.items():
            check(inner, TEXT, f"{path}.{name}")
    elif type(given) is not shape:
        raise Refused(f"{path} has a value of the wrong type")
