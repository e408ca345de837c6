"""Import Prophet, and have it log nothing: it misses plotly, and reports each fit."""

import logging

logging.getLogger("prophet.plot").setLevel(logging.CRITICAL)

from prophet import Prophet  # noqa: E402 - it logs when it is imported
from prophet.serialize import model_to_json  # noqa: E402

for name in ("cmdstanpy", "prophet"):
    logging.getLogger(name).disabled = True  # cmdstanpy sets its own level

__all__ = ["Prophet", "model_to_json"]
