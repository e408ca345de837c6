from __future__ import annotations

import pickle
from typing import TYPE_CHECKING

import pytest

from tidemill.models import host
from tidemill.models.isolation import policy, supervised
from tidemill.models.isolation.policy import Place, place

if TYPE_CHECKING:
    from collections.abc import Callable

    from tidemill.inference.model import ModelSpec

HERE, FORK, SUPERVISED = Place.THIS_PROCESS, Place.FORK, Place.SUPERVISED


class TestPlace:
    """Every combination of reasons has one place."""

    @pytest.mark.parametrize(
        ("is_retry", "starts_threads", "has_threads", "expected"),
        [
            (False, False, False, HERE),
            (False, False, True, HERE),
            (False, True, False, FORK),
            (False, True, True, HERE),
            (True, False, False, SUPERVISED),
            (True, False, True, SUPERVISED),
            (True, True, False, SUPERVISED),
            (True, True, True, SUPERVISED),
        ],
    )
    def test_table(
        self, is_retry: bool, starts_threads: bool, has_threads: bool, expected: Place
    ) -> None:
        """A retry counts most; a process that has threads is not forked."""
        chosen = place(is_retry=is_retry, starts_threads=starts_threads, has_threads=has_threads)
        assert chosen is expected


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
