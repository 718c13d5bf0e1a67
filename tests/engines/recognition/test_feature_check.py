"""An engine starts only with the features of kaldi-native-fbank."""

from __future__ import annotations

import pytest

from engines.contract import KALDI_FRONT_END, NEMO_FRONT_END, FrontEnd
from engines.recognition.feature_check import TOLERANCE, feature_mistakes, largest_difference
from engines.recognition.features import LogMel

pytestmark = pytest.mark.unit


@pytest.mark.parametrize("front_end", [NEMO_FRONT_END, KALDI_FRONT_END], ids=["nemo", "kaldi"])
@pytest.mark.parametrize("feature_dim", [40, 64, 80, 128])
def test_the_features_are_the_librarys(feature_dim: int, front_end: FrontEnd) -> None:
    log_mel = LogMel(feature_dim=feature_dim, front_end=front_end)
    assert largest_difference(log_mel) <= TOLERANCE / 2
    assert feature_mistakes(log_mel) == []


def test_features_that_are_slightly_off_are_noticed() -> None:
    log_mel = LogMel(feature_dim=80)
    log_mel._window = log_mel._window * 1.002
    assert largest_difference(log_mel) > TOLERANCE
    (mistake,) = feature_mistakes(log_mel)
    assert "kaldi-native-fbank" in mistake
