from __future__ import annotations

import pickle
from typing import TYPE_CHECKING

import pytest

from tidemill.models import host
from tidemill.models.isolation import policy, supervised

if TYPE_CHECKING:
    from collections.abc import Callable

    from tidemill.inference.model import ModelSpec


class TestLoader:
    """The loaders run models in the chosen place."""

    @pytest.mark.parametrize("starts_threads", [False, True])
    def test_travels(self, starts_threads: bool) -> None:
        """Spark can send a loader to its workers."""
        load = policy.loader(starts_threads=starts_threads)
        assert pickle.loads(pickle.dumps(load)) is load  # noqa: S301 - made here

    def test_this_process(self) -> None:
        """Without a reason against it, models are kept in this process."""
        assert policy.loader() is host.load

    @pytest.mark.parametrize("is_retry", [False, True])
    def test_retry(self, model: Callable[..., ModelSpec], is_retry: bool) -> None:
        """Only a retry is supervised; before it, the given loader is used."""
        with policy.retry_loader(host.load, is_retry=is_retry, call_timeout=None) as load:
            assert (load is host.load) == (not is_retry)
            loaded = load(model("Upper"))
        assert isinstance(loaded, supervised.SupervisedModel) == is_retry
