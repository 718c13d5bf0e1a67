"""What TensorRT says of its layers is read in both of its forms, and nothing else breaks a report."""

from __future__ import annotations

import json

import pytest

from engines.backends.tensorrt.report import AccuracyFigures, LayerFigures, layer_figures

pytestmark = pytest.mark.unit


def test_both_forms_of_data_types_are_read() -> None:
    layers = [
        {"LayerType": "gemm", "TacticName": "t1", "Outputs": [{"Format/Datatype": "Row major linear FP16"}]},
        {"LayerType": "gemm", "TacticName": "t1", "Outputs": [{"DataType": "FP32", "Format": "linear"}]},
        {"LayerType": "kgen", "TacticName": "t2", "Outputs": [{"DataType": "Int64"}]},
    ]
    assert layer_figures(json.dumps({"Layers": layers})) == LayerFigures(
        layers=3, kinds={"gemm": 2, "kgen": 1}, tactics=2, data_types={"fp16": 1, "fp32": 1, "int64": 1}
    )


@pytest.mark.parametrize(("text", "layers"), [("", 0), ("no json", 0), ("[]", 0), ('{"Layers": ["a", "b"]}', 2)])
def test_what_says_little_counts_as_little(text: str, layers: int) -> None:
    assert layer_figures(text) == LayerFigures(layers=layers, kinds={}, tactics=0, data_types={})


@pytest.mark.parametrize(("difference", "equal", "good"), [(0.1, True, True), (0.2, True, False), (0.0, False, False)])
def test_an_engine_is_good_by_words_and_by_numbers(difference: float, equal: bool, good: bool) -> None:
    figures = AccuracyFigures(
        probe="x", streams=1, steps=1, max_difference=difference, tolerance=0.1, are_pieces_equal=equal
    )
    assert figures.is_good is good
