"""Ready-made jobs for long tasks: a model over a large input, and over inputs in the request."""

from __future__ import annotations

from tidemill.jobs.batch import Batch
from tidemill.jobs.predict import Predict

__all__ = ["Batch", "Predict"]
