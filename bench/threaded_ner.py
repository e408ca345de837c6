"""The shipped models, as the processes of a pool cannot share them."""

from __future__ import annotations

import threading
from typing import Any

from tidemill.models.adapters.spacy_ner import SpacyNer


class ThreadedNer(SpacyNer):
    """Start a thread, which only waits: so each process of the pool loads its own model."""

    def __init__(self, **options: Any) -> None:  # noqa: ANN401 - those of the base class
        """Load the package, and start the thread."""
        super().__init__(**options)
        threading.Thread(target=threading.Event().wait, daemon=True).start()
