"""An engine starts only with the features of kaldi-native-fbank."""

from __future__ import annotations

import pytest

from engines.recognition.feature_check import TOLERANCE, feature_mistakes, largest_difference
from engines.recognition.features import LogMel

pytestmark = pytest.mark.unit


@pytest.mark.parametrize("feature_dim", [40, 64, 80, 128])
def test_the_features_are_the_librarys(feature_dim: int) -> None:
    assert largest_difference(LogMel(feature_dim=feature_dim)) <= TOLERANCE / 2
    assert feature_mistakes(LogMel(feature_dim=feature_dim)) == []


def test_features_that_are_slightly_off_are_noticed() -> None:
    log_mel = LogMel(feature_dim=80)
    log_mel._hann = log_mel._hann * 1.002
    assert largest_difference(log_mel) > TOLERANCE
    (mistake,) = feature_mistakes(log_mel)
    assert "kaldi-native-fbank" in mistake
