"""The networks are bound by position, and never let a single row change what it comes to."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from engines.transducers.files import find_transducer_files, load_transducer
from engines.transducers.networks import Networks, initial_context
from engines.transducers.trial import empty_states

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.unit


@pytest.mark.parametrize("batch", [1, 2, 3, 7, 16, 33])
def test_rows_of_decoder_and_joiner_do_not_depend_on_their_batch(transducer: Path, batch: int) -> None:
    networks = Networks(find_transducer_files(transducer), threads=1)
    dice = np.random.default_rng(1)
    contexts = dice.integers(0, 40, (40, 2))
    rows = dice.standard_normal((40, 40), dtype=np.float32)
    decoded = networks.decode(contexts)
    joined = networks.join(rows, decoded)
    assert np.array_equal(networks.decode(contexts[:batch]), decoded[:batch])
    assert np.array_equal(networks.join(rows[:batch], decoded[:batch]), joined[:batch])


@pytest.mark.parametrize("fewest", [1, 2, 4])
def test_filling_up_a_batch_of_the_encoder_changes_nothing_but_its_size(transducer: Path, fewest: int) -> None:
    contract, networks = load_transducer(transducer, threads=1)
    networks.fewest_encoder_rows = fewest
    features = np.random.default_rng(2).standard_normal((1, contract.window_frames, 80), dtype=np.float32)
    axes = [state.batch_axis for state in contract.states]
    found = networks.encode(features, empty_states(contract, 1), axes)
    assert [tensor.shape for tensor in found[1:]] == [state.shape for state in empty_states(contract, 1)]
    pair = networks.encode(np.repeat(features, 5, axis=0), empty_states(contract, 5), axes)
    assert np.array_equal(found[0][0], pair[0][0])


def test_a_decoder_begins_with_nothing_and_a_blank() -> None:
    assert initial_context(3).tolist() == [-1, -1, 0]
    assert initial_context(1).tolist() == [0]
