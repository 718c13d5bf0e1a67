"""Settings of sessions: limits that belong together are checked together, and pure parts get them as they are."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from engines.interface import SAMPLES_PER_MS
from gateway.session_settings import RecoverySettings, SessionSettings, SlowEngineSettings
from gateway.wire.recognition_options import KeywordLimits

pytestmark = pytest.mark.unit


def mistakes_of(**settings: Any) -> str:
    with pytest.raises(ValidationError) as refusal:
        SessionSettings.model_validate(settings)
    return str(refusal.value)


def test_the_defaults_fit_together() -> None:
    settings = SessionSettings()
    assert settings.option_limits().default_utterance_ms == settings.default_utterance_ms
    assert settings.session_limits().idle_ms == settings.idle_timeout_ms


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"held_audio_ms": 44_999}, "held_audio_ms must be at least"),
        ({"default_silence_ms": 199}, "default_silence_ms must lie between"),
        ({"default_silence_ms": 10_001}, "default_silence_ms must lie between"),
        ({"max_silence_ms": 700}, "default_silence_ms must lie between"),
        ({"default_no_speech_ms": 999}, "default_no_speech_ms must lie between"),
        ({"max_no_speech_ms": 4_999}, "default_no_speech_ms must lie between"),
        ({"default_utterance_ms": 1_999}, "default_utterance_ms must lie between"),
        ({"max_utterance_ms": 20_000}, "default_utterance_ms must lie between"),
        ({"max_waiting_bytes": 2_097_151}, "at least twice max_message_bytes"),
        ({"recovery": {"timeout_ms": 2_499}}, "recovery.timeout_ms must not be shorter"),
    ],
)
def test_limits_that_contradict_each_other_are_refused(settings: dict[str, Any], says: str) -> None:
    assert says in mistakes_of(**settings)


def test_every_contradiction_is_named_at_once() -> None:
    text = mistakes_of(held_audio_ms=1, default_silence_ms=1, max_waiting_bytes=65_536)
    assert [says for says in ("held_audio_ms", "default_silence_ms", "max_waiting_bytes") if says not in text] == []


@pytest.mark.parametrize(
    "settings",
    [
        {"held_audio_ms": 45_000},
        {"max_utterance_ms": 10_000, "default_utterance_ms": 10_000, "held_audio_ms": 25_000},
        {"max_message_bytes": 4_096, "max_waiting_bytes": 65_536},
        {"recovery": {"timeout_ms": 2_500}},
    ],
)
def test_limits_may_meet(settings: dict[str, Any]) -> None:
    SessionSettings.model_validate(settings)


def test_what_a_client_may_ask_for_is_what_the_settings_say() -> None:
    settings = SessionSettings(
        max_keywords=1,
        max_keyword_chars=2,
        max_keywords_total_chars=3,
        max_keyword_boost_permille=4,
        max_no_speech_ms=9_000,
    )
    limits = settings.option_limits()
    assert limits.max_no_speech_ms == 9_000
    assert limits.keywords == KeywordLimits(max_keywords=1, max_phrase_chars=2, max_total_chars=3, max_boost_permille=4)


@pytest.mark.parametrize("name", ["no_such_key", "idle_timeout"])
def test_a_key_that_does_not_exist_is_refused(name: str) -> None:
    assert "Extra inputs are not permitted" in mistakes_of(**{name: 1})


@pytest.mark.parametrize(
    "name", [name for name in SessionSettings.model_fields if name.endswith(("_ms", "_bytes", "_messages", "_chars"))]
)
@pytest.mark.parametrize("value", [-1, "soon", None])
def test_no_limit_is_negative_or_a_word(name: str, value: object) -> None:
    assert name in mistakes_of(**{name: value})


@given(
    st.integers(2_000, 60_000),
    st.integers(0, 585_000),
    st.builds(
        RecoverySettings,
        first_delay_ms=st.integers(1, 5_000),
        max_delay_ms=st.integers(1, 30_000),
        timeout_ms=st.integers(2_500, 300_000),
        max_losses=st.integers(1, 100),
    ),
)
def test_whatever_is_held_reading_stops_before_the_buffer_is_full_and_goes_on_before_it_is_empty(
    utterance_ms: int, spare_ms: int, recovery: RecoverySettings
) -> None:
    settings = SessionSettings(
        max_utterance_ms=utterance_ms,
        default_utterance_ms=utterance_ms,
        held_audio_ms=min(600_000, utterance_ms + 15_000 + spare_ms),
        recovery=recovery,
    )
    limits = settings.session_limits()
    holding = limits.holding
    assert 0 < holding.low_water_samples < holding.high_water_samples < holding.capacity_samples
    assert holding.high_water_samples > settings.max_utterance_ms * SAMPLES_PER_MS
    assert (limits.recovery.timeout_ms, limits.recovery.max_losses) == (recovery.timeout_ms, recovery.max_losses)


def test_when_an_engine_is_slow_is_what_was_set() -> None:
    settings = SessionSettings(slow_engine=SlowEngineSettings(after_ms=700, move_within_ms=900, rest_ms=1_100))
    slowness = settings.session_limits().slowness
    assert (slowness.after_ms, slowness.move_within_ms, slowness.rest_ms) == (700, 900, 1_100)
