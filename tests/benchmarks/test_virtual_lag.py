"""Where packets are lost, datagrams are there sooner than on the stream: on a clock that no machine disturbs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from gateway import dev_certificates
from tests.benchmarks.measures import quantile
from tests.benchmarks.virtual_lag import Outcome, Speech, Way, heard

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.integration

ROUND_TRIP_MS = 40
AUDIO_MS = 20_000


@pytest.mark.parametrize("piece_ms", [20, 100])
def test_where_packets_are_lost_datagrams_are_sooner_than_the_stream(tmp_path: Path, piece_ms: int) -> None:
    files = dev_certificates.make(tmp_path)

    def outcome(way: Way) -> Outcome:
        return heard(Speech(way, piece_ms, AUDIO_MS, loss=0.04, seed=5), files)

    stream, datagrams = outcome("stream"), outcome("datagrams")
    assert len(stream.lags_ms) == AUDIO_MS // piece_ms
    assert stream.lost_share == 0
    assert len(datagrams.lags_ms) >= AUDIO_MS // piece_ms - 1, "all but the last, which may be lost"
    assert 0 < datagrams.lost_share < 0.08
    assert sum(datagrams.lags_ms) < sum(stream.lags_ms)
    for share in (0.9, 0.95, 0.99, 1.0):
        assert quantile(sorted(datagrams.lags_ms), share) <= quantile(sorted(stream.lags_ms), share)
    assert quantile(sorted(datagrams.lags_ms), 0.99) < quantile(sorted(stream.lags_ms), 0.99)


@pytest.mark.parametrize("way", ["stream", "datagrams"])
def test_without_losses_audio_takes_half_a_round_trip(tmp_path: Path, way: Way) -> None:
    outcome = heard(Speech(way, 100, 1_000, loss=0.0, seed=1), dev_certificates.make(tmp_path))
    assert len(outcome.lags_ms) == 10
    assert all(ROUND_TRIP_MS / 2 <= lag_ms <= ROUND_TRIP_MS / 2 + 3 for lag_ms in outcome.lags_ms)
    assert outcome.lost_share == 0
