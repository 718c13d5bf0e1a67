"""A batch's result is parted by stream, the same way for every kind of model."""

from __future__ import annotations

import numpy as np
import pytest

from engines.contract import Emissions
from engines.recognition.rows import rows_by_stream

pytestmark = pytest.mark.unit


def test_of_log_probabilities_each_stream_gets_its_rows_and_the_best_of_each() -> None:
    log_probabilities = np.log(np.array([[[0.1, 0.9], [0.8, 0.2]], [[0.7, 0.3], [0.6, 0.4]]], np.float32))
    first, second = rows_by_stream(log_probabilities)
    assert (first.best_tokens, second.best_tokens) == ([1, 0], [0, 0])
    assert np.array_equal(second.log_probabilities, log_probabilities[1])


def test_of_emissions_each_stream_gets_its_own() -> None:
    emissions = Emissions(np.array([[0, 5], [3, 3]]), np.array([[0, -0.5], [-0.1, -0.2]], np.float32))
    first, second = rows_by_stream(emissions)
    assert (first.best_tokens, second.best_tokens) == ([0, 5], [3, 3])
    assert np.array_equal(first.log_probabilities, emissions.log_probabilities[0])
