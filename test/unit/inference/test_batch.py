"""A batch of a model whose attributes are properties."""

from __future__ import annotations

import pytest
from specs import make_spec

from tidemill.errors import ModelUnavailable
from tidemill.inference.batch import probe, run_batch


class Broken:
    """A model with an attribute that raises."""

    def __init__(self, attribute: str, error: BaseException) -> None:
        self.attribute = attribute
        self.error = error

    def __getattr__(self, name: str) -> object:
        """Fail to read the attribute; there is no other one."""
        raise self.error if name == self.attribute else AttributeError(name)

    def predict_all(self, inputs: list[str]) -> list[str]:
        """Answer every input."""
        return ["1"] * len(inputs)


@pytest.mark.parametrize("attribute", ["sample", "input_schema", "output_schema"])
@pytest.mark.parametrize("error", [RuntimeError("no file today"), SystemExit(3)], ids=repr)
def test_attribute_raises(attribute: str, error: BaseException) -> None:
    """The model is down: no input is blamed, and nothing looks like a crash."""
    spec = make_spec(sample=None if attribute == "sample" else "a")
    model = Broken(attribute, error)
    outputs = run_batch(spec, lambda _: model, ["a", "b"], clock=lambda: 0.0)
    assert [type(output.result) for output in outputs] == [ModelUnavailable] * 2
    with pytest.raises(ModelUnavailable) as raised:
        probe(spec, model)
    assert raised.value.__cause__ is error
    assert type(error).__name__ in str(raised.value)


def test_interrupt() -> None:
    """Ctrl-C is not the model's fault."""
    with pytest.raises(KeyboardInterrupt):
        run_batch(
            make_spec(), lambda _: Broken("input_schema", KeyboardInterrupt()), ["a"], clock=float
        )
