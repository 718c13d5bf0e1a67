"""int8 is welcome with scales from the file; what takes its scales from the batch is refused with what to do."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engines.model_header import ModelHeader, NodeHeader
from engines.model_quantisation import precision_of, quantisation_mistakes

pytestmark = pytest.mark.unit

STATIC = (
    NodeHeader("QuantizeLinear", ("x", "scale", "zero"), ("q",)),
    NodeHeader("MatMulInteger", ("q", "w"), ("i",)),
)


def header(*nodes: NodeHeader, constants: tuple[str, ...] = ("scale", "zero", "w")) -> ModelHeader:
    return ModelHeader(nodes=list(nodes), tensor_names=set(constants))


def test_static_scales_are_welcome() -> None:
    assert quantisation_mistakes(header(*STATIC)) == []


def test_scales_that_follow_from_constants_are_static_too() -> None:
    folded = (
        NodeHeader("Constant", (), ("half",)),
        NodeHeader("Mul", ("half", "scale"), ("smaller",)),
        NodeHeader("QuantizeLinear", ("x", "smaller"), ("q",)),
    )
    assert quantisation_mistakes(header(*folded)) == []


@pytest.mark.parametrize("operator", ["DynamicQuantizeLinear", "DynamicQuantizeMatMul", "DynamicQuantizeLSTM"])
def test_operators_that_find_their_scales_themselves_are_refused(operator: str) -> None:
    (mistake,) = quantisation_mistakes(header(NodeHeader(operator, ("x",), ("q",))))
    assert mistake.startswith(f"it is quantised dynamically ({operator}): one scale would be taken for the whole batch")


@pytest.mark.parametrize("source", ["ReduceMax", "RandomUniform"])
def test_a_scale_that_is_computed_from_anything_but_constants_is_refused(source: str) -> None:
    nodes = (
        NodeHeader(source, ("x",) if source == "ReduceMax" else ("w",), ("found",)),
        NodeHeader("QuantizeLinear", ("x", "found"), ("q",)),
    )
    (mistake,) = quantisation_mistakes(header(*nodes))
    assert mistake.startswith("it is quantised dynamically (QuantizeLinear with a computed scale)")


def test_precision_is_that_of_most_weights() -> None:
    assert precision_of(ModelHeader(elements={1: 10, 10: 3, 7: 99})) == "fp32"
    assert precision_of(ModelHeader(elements={1: 3, 10: 10})) == "fp16"
    assert precision_of(ModelHeader(nodes=list(STATIC), elements={1: 10})) == "int8 static"
    assert precision_of(ModelHeader(nodes=[NodeHeader("QLinearMatMul", (), ())], elements={1: 10})) == "int8 static"


_NODES = st.builds(
    NodeHeader,
    st.sampled_from(["QuantizeLinear", "Constant", "Mul", "RandomUniform"]),
    st.lists(st.sampled_from("abcx"), max_size=3).map(tuple),
    st.lists(st.sampled_from("abc"), max_size=1).map(tuple),
)


@settings(deadline=None)
@given(st.lists(_NODES, max_size=6))
def test_a_scale_that_is_the_input_itself_is_never_let_through(nodes: list[NodeHeader]) -> None:
    assert quantisation_mistakes(header(*nodes, NodeHeader("QuantizeLinear", ("a", "x"), ("q",)), constants=()))
