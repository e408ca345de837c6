"""Which models a host keeps within its limit."""

from __future__ import annotations

import math
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from sized_models import Counted
from specs import make_spec

from tidemill.errors import ModelLoadFailed
from tidemill.models.host import Host, Usage
from tidemill.models.isolation import procfs

if TYPE_CHECKING:
    from tidemill.inference.model import ModelSpec

MIB = 2**20
SIZES = [0, 1, 2, 3, 5, 8, 13]
NUMBER = st.integers(0, len(SIZES) - 1)


def counted(number: int) -> ModelSpec:
    """Return the entry of a model that takes `SIZES[number]` bytes."""
    options = {"size": SIZES[number]}
    return make_spec(name=f"m{number}", adapter="sized_models:Counted", options=options)


def make_host(limit: float) -> Host:
    """Return a host that counts the bytes of these models."""
    before = Counted.taken
    return Host(limit, lambda: Counted.taken - before)


class LeastRecentlyUsed(RuleBasedStateMachine):
    """A host keeps the models that a list of them, sorted by their last use, says."""

    @initialize(limit=st.integers(0, 25))
    def start(self, limit: int) -> None:
        """Make a host without models."""
        self.before = Counted.taken
        self.limit: float = limit
        self.host = make_host(limit)
        self.kept: list[int] = []
        self.inherited: set[int] = set()
        self.usage = {number: Usage() for number in range(len(SIZES))}

    @rule(number=NUMBER)
    def load(self, number: int) -> None:
        """Use a model, which is loaded unless it is there."""
        here = number in self.inherited or number in self.kept
        assert (counted(number) in self.host) == here
        model = self.host.load(counted(number))
        assert model is self.host.load(counted(number))
        del model
        if number in self.inherited:
            return
        if number in self.kept:
            self.kept.remove(number)
        else:
            self.usage[number].loads += 1
            self.usage[number].bytes += SIZES[number]
        while self.kept and self.size() + SIZES[number] > self.limit:
            evicted = self.kept.pop(0)
            self.usage[evicted].evictions += 1
            self.usage[evicted].bytes -= SIZES[evicted]
        self.kept.append(number)

    @rule()
    def fail(self) -> None:
        """A model that does not load evicts at most one that alone exceeds the limit."""
        if self.kept and self.size() > self.limit:
            self.usage[self.kept[0]].evictions += 1
            self.usage[self.kept[0]].bytes -= self.size()
            self.kept = []
        spec = make_spec(adapter="sized_models:Counted", options={"size": -1})
        with pytest.raises(ModelLoadFailed):
            self.host.load(spec)
        assert spec not in self.host

    @rule(limit=st.one_of(st.integers(-5, 25), st.just(math.inf)))
    def fork(self, limit: float) -> None:
        """Models that the parent loaded are not evicted, and do not count."""
        self.host.inherit(limit)
        self.limit = limit
        self.inherited |= {*self.kept}
        self.kept = []
        self.usage = {number: Usage() for number in range(len(SIZES))}

    @rule(order=st.permutations(range(len(SIZES))))
    def reorder(self, order: list[int]) -> None:
        """The order may be that of other processes' use."""
        self.host.reorder(lambda model: order.index(int(model[1:].partition(":")[0])))
        self.kept.sort(key=order.index)

    @rule()
    def take(self) -> None:
        """The changes since the last time are reported once."""
        usage = self.host.take_usage()
        for number, expected in self.usage.items():
            found = usage.get(f"m{number}:1", Usage())
            found.seconds = 0.0
            assert found == expected
        assert self.host.take_usage() == {}
        self.usage = {number: Usage() for number in range(len(SIZES))}

    @invariant()
    def bounds(self) -> None:
        """The models within the limit, or one alone, are all that is there."""
        assert self.host.bytes == self.size()
        assert self.size() <= self.limit or len(self.kept) <= 1
        assert {number for number in range(len(SIZES)) if counted(number) in self.host} == {
            *self.kept,
            *self.inherited,
        }
        loaded = {*self.kept, *self.inherited}
        assert Counted.taken - self.before == sum(SIZES[number] for number in loaded)

    def size(self) -> int:
        """Return the bytes of the models that the host may evict."""
        return sum(SIZES[number] for number in self.kept)

    def teardown(self) -> None:
        """Drop the models, so that the next example starts without any."""
        self.host = make_host(0)


TestLeastRecentlyUsed = LeastRecentlyUsed.TestCase
# Each load collects garbage, which takes long.
TestLeastRecentlyUsed.settings = settings(max_examples=30)


class TestSize:
    def test_memory_that_stays(self) -> None:
        """A model keeps its size when it is loaded again into memory that the process kept."""
        memory = iter([0, 100, 100, 100, 100, 100])
        host = Host(150, lambda: next(memory))
        for number in (1, 2, 1):
            host.load(counted(number))
        assert host.bytes == 100

    def test_imports(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """What the model's module takes does not count."""
        monkeypatch.delitem(sys.modules, "sized_models")
        host = Host(math.inf, lambda: 7 * MIB if "sized_models" in sys.modules else 0)
        host.load(counted(3))
        assert host.bytes == 0

    def test_real_memory(self) -> None:
        """The measured size is about what the model takes, and eviction returns it."""
        code = f"""
from specs import make_spec
from tidemill.models.host import Host
from tidemill.models.isolation import procfs
host = Host({100 * MIB})
options = {{"log": "/dev/null", "size": 60 * {MIB}}}
specs = [make_spec(name=name, adapter="sized_models:Sized", options=options) for name in "abc"]
for spec in specs:
    host.load(spec)
    print(host.bytes, procfs.anonymous_bytes())
"""
        output = subprocess.check_output([sys.executable, "-c", code], text=True)
        (size, before), *later = [list(map(int, line.split())) for line in output.splitlines()]
        assert size == pytest.approx(60 * MIB, abs=MIB)
        for again, after in later:
            assert again == pytest.approx(60 * MIB, abs=MIB)
            assert after == pytest.approx(before, abs=4 * MIB)


def test_no_proc(tmp_path: object, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without /proc, a model has no size."""
    monkeypatch.setattr(procfs, "SELF", tmp_path)
    assert procfs.anonymous_bytes() == 0
