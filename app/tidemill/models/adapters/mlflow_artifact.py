"""Copy an MLflow model to this machine, and read what its files say about it."""

from __future__ import annotations

import gc
import json
import os
import re
from contextlib import contextmanager, suppress
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from tidemill import extras
from tidemill.errors import UnusableEntry
from tidemill.models.uri import redact

if TYPE_CHECKING:
    from collections.abc import Iterator

# MLflow reports its usage from a thread, which would keep processes from sharing a model.
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
# By default, MLflow tries for four minutes, for each model, to reach a server that is not there.
os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2")

# What only a server can resolve.
SERVED = ("models:", "runs:", "mlflow-artifacts:")
# MLflow's codes for what is not there; it calls a missing alias an invalid one.
MISSING = {"INVALID_PARAMETER_VALUE", "RESOURCE_DOES_NOT_EXIST"}
REGISTERED = re.compile(r"models:/+(?P<name>[^/@]+)(?:/|@).+")
RUN = re.compile(r"runs:/+(?P<run>[^/]+)/.+")


def download(uri: str, target: Path, tracking_uri: str | None, registry_uri: str | None) -> Path:
    """Copy a model into the folder `target`; return the model's folder.

    Raises:
        UnusableEntry: There is no such model.
        ConnectionError: The server does not answer, or refuses to.

    """
    with extras.required():
        import mlflow  # noqa: PLC0415 - it takes two seconds
    # MLflow follows a version's URI to a model's only on the server that its environment names.
    with environment(
        MLFLOW_TRACKING_URI=tracking_uri,
        MLFLOW_REGISTRY_URI=registry_uri,
        MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR="false",
    ):
        if uri.startswith(SERVED):
            _check_server(mlflow)
        try:
            return Path(mlflow.artifacts.download_artifacts(uri, dst_path=str(target)))
        except ImportError:  # the storage's client
            raise
        except Exception as error:  # noqa: BLE001 - each storage has errors of its own
            if getattr(error, "error_code", "") not in MISSING:
                raise ConnectionError(redact(f"MLflow cannot get {uri}: {error}")) from None
            remedy = "Correct the artifact or the option tracking_uri."
            with suppress(Exception):  # it is only advice
                remedy = _what_exists(uri, mlflow.MlflowClient()) or remedy
            raise UnusableEntry("artifact", f"MLflow has no {redact(uri)}", remedy) from None
        finally:
            _disconnect()


def _check_server(mlflow: Any) -> None:  # noqa: ANN401 - the module
    """Refuse MLflow's default, an empty database in the working folder."""
    file = mlflow.get_tracking_uri().removeprefix("sqlite:///")
    if not mlflow.is_tracking_uri_set() and not Path(file).exists():
        raise UnusableEntry(
            "options.tracking_uri",
            "the URI of MLflow's tracking server is not set",
            "Set the option tracking_uri, or the environment variable MLFLOW_TRACKING_URI.",
        )


@contextmanager
def environment(**variables: str | None) -> Iterator[None]:
    """Set variables of the environment for the time of a context, except those that are None."""
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update({name: value for name, value in variables.items() if value is not None})
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name, None)
            if value is not None:
                os.environ[name] = value


def _what_exists(uri: str, client: Any) -> str:  # noqa: ANN401 - mlflow has no types
    """Say what the server has that is closest to a URI."""
    if found := REGISTERED.fullmatch(uri):
        name = found["name"]
        names = [model.name for model in client.search_registered_models(max_results=1000)]
        if name not in names:
            near = get_close_matches(name, names, 3) or sorted(names)[:10]
            return f"There is no registered model {name}; there is {', '.join(near)}."
        versions = client.search_model_versions(f"name = '{name}'", max_results=100)
        numbers = ", ".join(sorted((str(one.version) for one in versions), key=int))
        aliases = ", ".join(client.get_registered_model(name).aliases) or "none"
        return f"The versions of {name} are {numbers or 'none'}; its aliases: {aliases}."
    if found := RUN.fullmatch(uri):
        paths = [one.path for one in client.list_artifacts(found["run"])]
        return f"The artifacts of the run are: {', '.join(paths) or 'none'}."
    return ""


def _disconnect() -> None:
    """Close the connections that MLflow keeps open, which forked processes must not share."""
    with suppress(ImportError, AttributeError):
        from mlflow.utils import request_utils  # noqa: PLC0415 - private, so it may not be there

        request_utils._cached_get_request_session.cache_clear()  # noqa: SLF001 - there is no other way
    gc.collect()


def read_mlmodel(folder: Path, uri: str) -> dict[str, Any]:
    """Return the content of a model's MLmodel file.

    Raises:
        UnusableEntry: The folder has none, or it describes no model that MLflow can predict with.

    """
    try:
        mlmodel: dict[str, Any] = yaml.safe_load((folder / "MLmodel").read_text("utf-8"))
        mlmodel["flavors"]["python_function"]["loader_module"]
    except (OSError, ValueError, yaml.YAMLError, LookupError, TypeError) as error:
        is_there = folder.exists()
        raise UnusableEntry(
            "artifact",
            f"{redact(uri)} {'is no MLflow model for prediction' if is_there else 'is no folder'}: "
            f"{type(error).__name__}",
            "Name a folder with an MLmodel file that has the flavour python_function, or a URI "
            "such as models:/name/1, models:/name@alias or runs:/id/model.",
        ) from error
    return mlmodel


def input_example(folder: Path) -> Any:  # noqa: ANN401 - JSON
    """Return the first row of a model's input example; None if it has none."""
    for name in ("serving_input_example.json", "input_example.json"):
        with suppress(OSError, ValueError, LookupError, TypeError):
            return _first_row(json.loads((folder / name).read_text("utf-8")))
    return None


def _first_row(example: Any) -> Any:  # noqa: ANN401 - JSON
    """Return the first row of a request to MLflow's own server, or of a saved example."""
    if not isinstance(example, dict):
        return example[0]
    table = example.get("dataframe_split", example)
    if "data" in table:
        row = table["data"][0]
        names = table.get("columns", ())
        named = names and all(isinstance(name, str) for name in names)
        return dict(zip(names, row, strict=True)) if named else row
    if "dataframe_records" in example:
        return example["dataframe_records"][0]
    rows = example["inputs"]
    return {name: rows[name][0] for name in rows} if isinstance(rows, dict) else rows[0]
