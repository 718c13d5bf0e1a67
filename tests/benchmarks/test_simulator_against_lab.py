from __future__ import annotations

import pytest

from regions.lab.drill_file import read_drill
from tests.benchmarks.simulator_against_lab import DRILL, Compared, out_of_step, simulated

pytestmark = pytest.mark.unit


def test_the_simulated_drill_pauses_for_the_liveness_less_a_heartbeat_and_the_word_that_was_due() -> None:
    pauses = simulated(read_drill(DRILL), strikes=60, answer_ms=12)
    # 2000 ms, less up to a heartbeat since the last report, and up to a word since the last one, which alone is usual.
    assert pauses.count > 150
    assert pauses.p50_ms == pytest.approx(1_512, abs=100)
    assert 1_800 < pauses.p99_ms <= 2_012


def test_audio_that_is_sent_again_takes_its_time() -> None:
    at_once, replayed = (simulated(read_drill(DRILL), strikes=60, replay_permille=speed) for speed in (0, 100_000))
    # Up to 30 s at a hundred times their pace.
    assert 50 < replayed.p50_ms - at_once.p50_ms < 300


def test_figures_agree_within_a_tenth_in_the_median_and_a_fifth_in_the_p99() -> None:
    assert [Compared(name, 1_000.0, 1_150.0).agrees for name in ("p50", "p99")] == [False, True]


def test_strikes_do_not_come_at_whole_multiples_of_reports() -> None:
    (fault,) = out_of_step(read_drill(DRILL)).fault
    assert fault.every_s * 1_000 % 500 != 0
