"""What one session came to, reckoned from its record."""

from __future__ import annotations

import pytest

from regions.lab.call_record import CallRecord, Move
from regions.lab.transcripts import SpokenWord

pytestmark = pytest.mark.unit


def record() -> CallRecord:
    """Words every half second, 30 ms after they were spoken; between 2.03 and 4.03 nothing came."""
    call = CallRecord(1, "", ("synthetic", 1, 6_000))
    call.sent = [(100 * piece, 0.1 * piece) for piece in range(1, 61)]
    for half in (1, 2, 3, 4):
        call.note_progress(0.5 * half + 0.03, 500 * half)
    for half in (5, 6, 7, 8):
        call.note_progress(4.03, 500 * half)
    for half in (9, 10, 11, 12):
        call.note_progress(0.5 * half + 0.03, 500 * half)
    call.ended_at_s = 6.1
    return call


def test_lag_is_from_the_speaking_of_audio_to_its_words() -> None:
    lags = dict.fromkeys(range(3), 0.0) | {number: lag for number, (_, lag) in enumerate(record().lags())}
    assert lags[0] == pytest.approx(30)
    assert lags[4] == pytest.approx(1_530)
    assert lags[11] == pytest.approx(30)


def test_a_pause_is_what_exceeds_the_usual_time_between_words() -> None:
    call = record()
    call.moves = [Move(2.9, "link_lost", "west", "west", 12)]
    assert call.pauses_ms() == [pytest.approx(1_500)]


def test_a_move_between_two_words_that_came_in_time_is_no_pause() -> None:
    call = record()
    call.moves = [Move(1.2, "link_lost", "west", "west", 5)]
    assert call.pauses_ms() == [pytest.approx(0, abs=1e-6)]


def test_a_pause_that_nothing_ended_lasts_to_the_end_of_the_session() -> None:
    call = record()
    call.moves = [Move(6.05, "link_lost", "west", "west", 5)]
    call.ended_at_s = 9.03
    assert call.pauses_ms() == [pytest.approx(2_500)]


def test_only_what_goes_on_is_progress() -> None:
    call = CallRecord(1, "", ("synthetic", 1, 1_000))
    for at_s, through_ms in ((1.0, 500), (1.1, 500), (1.2, 400), (1.3, 600)):
        call.note_progress(at_s, through_ms)
    assert call.progress == [(1.0, 500), (1.3, 600)]


def test_finals_beyond_the_last_ack_are_dropped_before_they_come_again() -> None:
    call = CallRecord(1, "", ("synthetic", 1, 1_000))
    call.words = [SpokenWord("a", 0, 500), SpokenWord("b", 500, 1_000), SpokenWord("c", 1_000, 1_500)]
    call.drop_words_from(1_000)
    assert [word.text for word in call.words] == ["a", "b"]
    assert not call.was_served


def test_a_session_fell_back_where_it_changed_what_it_spoke() -> None:
    call = record()
    call.protocols = ["webtransport", "webtransport"]
    assert not call.fell_back
    call.protocols.append("ws")
    assert call.fell_back
