from __future__ import annotations

import os

from hypothesis import given
from hypothesis import strategies as st

from tidemill.models.host import Usage
from tidemill.models.pool.model_table import NO_WISH, REFUSED, WISHED, ModelTable

MODELS = ["a:1", "b:1", "c:1"]
NUMBER = st.integers(0, 9)
USAGE = st.builds(Usage, st.integers(1, 9), NUMBER, st.integers(0, 9).map(float), NUMBER)


class TestWishes:
    def test_answers(self) -> None:
        """A wish can be granted, and repeated; a model that was refused is never wished for."""
        table = ModelTable(MODELS, 2)
        for model in ("a:1", "b:1"):
            table.wish(model)
        table.answer("a:1", REFUSED)
        assert table.wishes() == {"b:1"}
        table.answer("b:1", NO_WISH)
        for model in MODELS:
            table.wish(model)
        assert table.wishes() == {"b:1", "c:1"}
        table.answer("a:1", WISHED)
        assert table.wishes() == {*MODELS}

    def test_shared(self) -> None:
        """A fork's wish, use and loads are seen by its parent."""
        table = ModelTable(MODELS, 2)
        pid = os.fork()
        if not pid:
            table.wish("b:1")
            table.touch("c:1")
            table.add(1, {"b:1": Usage(1, 0, 0.5, 7)})
            os._exit(0)
        os.waitpid(pid, 0)
        assert table.wishes() == {"b:1"}
        assert table.last_use("c:1") > table.last_use("b:1") == 0
        assert table.usage() == {"b:1": Usage(1, 0, 0.5, 7)}


class TestUsage:
    @given(st.lists(st.tuples(NUMBER.map(lambda n: n % 3), st.sampled_from(MODELS), USAGE)))
    def test_sum(self, events: list[tuple[int, str, Usage]]) -> None:
        """The usage of all processes is added up."""
        table = ModelTable(MODELS, 3)
        expected: dict[str, Usage] = {}
        for process, model, usage in events:
            table.add(process, {model: usage})
            total = expected.setdefault(model, Usage())
            total.loads += usage.loads
            total.evictions += usage.evictions
            total.seconds += usage.seconds
            total.bytes += usage.bytes
        assert table.usage() == expected

    def test_start(self) -> None:
        """What a process loaded is gone with it, but is still counted as loaded."""
        table = ModelTable(MODELS, 2)
        for process in (0, 1):
            table.add(process, {model: Usage(1, 0, 2.0, 5) for model in MODELS})
        version = table.version
        table.start(1)
        assert table.version > version
        assert table.usage() == {model: Usage(2, 0, 4.0, 5) for model in MODELS}

    def test_no_models(self) -> None:
        """A table may be empty."""
        assert ModelTable([], 2).usage() == {}
