"""Settings of sessions: how long, how large, how patient. Turned into the plain limits that pure parts take."""

from __future__ import annotations

from typing import Self

from pydantic import BaseModel, Field, model_validator

from engines.interface import SAMPLES_PER_MS
from gateway.session.limits import SessionLimits
from gateway.session.slowness import SlownessLimits
from gateway.wire.handshake import OptionLimits
from gateway.wire.recognition_options import KeywordLimits
from policies.backpressure import HoldingLimits
from policies.failover import RecoveryLimits

_LEAST_AUDIO_MS = 20


class RecoverySettings(BaseModel, frozen=True, extra="forbid"):
    """How a session looks for another engine."""

    first_delay_ms: int = Field(default=50, gt=0, le=5_000)
    max_delay_ms: int = Field(default=1_000, gt=0, le=30_000)
    timeout_ms: int = Field(default=20_000, gt=0, le=300_000)
    max_losses: int = Field(default=10, gt=0, le=100)
    """Engines lost since the last final, before the audio itself is suspected."""


class SlowEngineSettings(BaseModel, frozen=True, extra="forbid"):
    """When a session leaves an engine that answers and falls behind."""

    after_ms: int = Field(default=2_000, gt=0, le=60_000)
    """Slower than real time for so long, with more than `stall_audio_ms` of audio waiting."""
    move_within_ms: int = Field(default=5_000, gt=0, le=60_000)
    rest_ms: int = Field(default=30_000, gt=0, le=3_600_000)
    """Between two such moves of a session, or two tries."""


class SessionSettings(BaseModel, frozen=True, extra="forbid"):
    """Elapsed milliseconds, except where a name says `audio` or `utterance`."""

    handshake_timeout_ms: int = Field(default=5_000, gt=0, le=60_000)
    opening_timeout_ms: int = Field(default=3_000, gt=0, le=60_000)
    idle_timeout_ms: int = Field(default=30_000, gt=0, le=3_600_000)
    max_session_ms: int = Field(default=4 * 3_600_000, gt=0)
    ending_grace_ms: int = Field(default=10_000, gt=0, le=120_000)
    closing_timeout_ms: int = Field(default=5_000, gt=0, le=60_000)
    """How long a client may take to read its last messages; then its connection is cut."""
    liveness_ms: int = Field(default=2_500, gt=0, le=60_000)
    stall_audio_ms: int = Field(default=1_500, gt=0, le=60_000)

    max_message_bytes: int = Field(default=1_048_576, ge=4_096, le=16_777_216)
    max_waiting_bytes: int = Field(default=2_097_152, ge=65_536)
    max_queued_messages: int = Field(default=256, ge=8)
    max_pending_finalizes: int = Field(default=32, gt=0, le=64)

    held_audio_ms: int = Field(default=60_000, gt=0, le=600_000)
    """Audio that is not final, per session: at most this is kept in memory (32 bytes a millisecond)."""

    min_silence_ms: int = Field(default=200, ge=100)
    max_silence_ms: int = Field(default=10_000, le=10_000)
    default_silence_ms: int = 800
    """Shorter cuts digit strings."""
    min_no_speech_ms: int = Field(default=1_000, ge=500)
    max_no_speech_ms: int = Field(default=30_000, le=60_000)
    default_no_speech_ms: int = 5_000
    """Audio in which nobody speaks is let go after so long."""
    min_utterance_ms: int = Field(default=2_000, ge=2_000)
    max_utterance_ms: int = Field(default=30_000, le=60_000)
    default_utterance_ms: int = 30_000

    max_keywords: int = Field(default=100, ge=0, le=200)
    max_keyword_chars: int = Field(default=64, gt=0, le=100)
    """Of one phrase."""
    max_keywords_total_chars: int = Field(default=2_000, gt=0, le=4_000)
    """Of all phrases of a session: what a recogniser lays out for them grows with it."""
    max_keyword_boost_permille: int = Field(default=10_000, ge=0, le=10_000)
    """Up or down; thousandths of a natural logarithm."""

    recovery: RecoverySettings = RecoverySettings()
    slow_engine: SlowEngineSettings = SlowEngineSettings()

    @model_validator(mode="after")
    def _limits_fit_together(self) -> Self:
        mistakes = []
        if self.held_audio_ms < self.max_utterance_ms + 15_000:
            mistakes.append("held_audio_ms must be at least max_utterance_ms + 15000, or a long utterance cannot end")
        if not self.min_silence_ms <= self.default_silence_ms <= self.max_silence_ms:
            mistakes.append("default_silence_ms must lie between min_silence_ms and max_silence_ms")
        if not self.min_no_speech_ms <= self.default_no_speech_ms <= self.max_no_speech_ms:
            mistakes.append("default_no_speech_ms must lie between min_no_speech_ms and max_no_speech_ms")
        if not self.min_utterance_ms <= self.default_utterance_ms <= self.max_utterance_ms:
            mistakes.append("default_utterance_ms must lie between min_utterance_ms and max_utterance_ms")
        if self.max_waiting_bytes < 2 * self.max_message_bytes:
            mistakes.append("max_waiting_bytes must be at least twice max_message_bytes")
        if self.recovery.timeout_ms < self.liveness_ms:
            mistakes.append("recovery.timeout_ms must not be shorter than liveness_ms")
        if mistakes:
            raise ValueError("; ".join(mistakes))
        return self

    def session_limits(self) -> SessionLimits:
        capacity = self.held_audio_ms * SAMPLES_PER_MS
        recovery = self.recovery
        return SessionLimits(
            idle_ms=self.idle_timeout_ms,
            session_ms=self.max_session_ms,
            ending_grace_ms=self.ending_grace_ms,
            liveness_ms=self.liveness_ms,
            stall_samples=self.stall_audio_ms * SAMPLES_PER_MS,
            opening_ms=self.opening_timeout_ms,
            least_audio_samples=_LEAST_AUDIO_MS * SAMPLES_PER_MS,
            pending_cuts=self.max_pending_finalizes,
            holding=HoldingLimits(
                low_water_samples=capacity * 3 // 4,
                high_water_samples=capacity - 3_000 * SAMPLES_PER_MS,
                capacity_samples=capacity,
            ),
            recovery=RecoveryLimits(
                first_delay_ms=recovery.first_delay_ms,
                max_delay_ms=recovery.max_delay_ms,
                timeout_ms=recovery.timeout_ms,
                max_losses=recovery.max_losses,
            ),
            slowness=SlownessLimits(
                after_ms=self.slow_engine.after_ms,
                move_within_ms=self.slow_engine.move_within_ms,
                rest_ms=self.slow_engine.rest_ms,
            ),
        )

    def option_limits(self) -> OptionLimits:
        return OptionLimits(
            min_silence_ms=self.min_silence_ms,
            max_silence_ms=self.max_silence_ms,
            default_silence_ms=self.default_silence_ms,
            min_no_speech_ms=self.min_no_speech_ms,
            max_no_speech_ms=self.max_no_speech_ms,
            default_no_speech_ms=self.default_no_speech_ms,
            min_utterance_ms=self.min_utterance_ms,
            max_utterance_ms=self.max_utterance_ms,
            default_utterance_ms=self.default_utterance_ms,
            keywords=KeywordLimits(
                max_keywords=self.max_keywords,
                max_phrase_chars=self.max_keyword_chars,
                max_total_chars=self.max_keywords_total_chars,
                max_boost_permille=self.max_keyword_boost_permille,
            ),
        )
