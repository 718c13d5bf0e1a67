"""Sessions with small limits, and the engine events that tests tell them."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from engines.interface import EndReason, FinalResult, Granted, StreamOptions, Word
from gateway.session.effects import SendToClient
from gateway.session.identity import SessionIdentity
from gateway.session.limits import SessionLimits
from gateway.session.machine import SessionMachine
from gateway.session.slowness import SlownessLimits
from policies.backpressure import HoldingLimits
from policies.failover import RecoveryLimits
from tests.fakes.quota import unlimited_quota

if TYPE_CHECKING:
    from gateway.session.quota import SessionQuota

LIMITS = SessionLimits(
    idle_ms=30_000,
    session_ms=1_000_000,
    ending_grace_ms=5_000,
    liveness_ms=2_000,
    stall_samples=1_600,
    opening_ms=3_000,
    least_audio_samples=1,
    pending_cuts=3,
    holding=HoldingLimits(low_water_samples=8_000, high_water_samples=16_000, capacity_samples=32_000),
    recovery=RecoveryLimits(first_delay_ms=100, max_delay_ms=1_000, timeout_ms=10_000, max_losses=3),
    slowness=SlownessLimits(after_ms=1_000, move_within_ms=3_000, rest_ms=20_000),
)
IDENTITY = SessionIdentity("s", "t", "here", StreamOptions(), expires_at_ms=10_000_000, jitter_permille=0)
PCM_100_MS = b"\x01\x00" * 1_600


def granted(epoch: int = 1, window_samples: int = 80_000, *, version: str = "v1") -> Granted:
    return Granted(epoch, "m", version, window_samples)


def final(start: int, end: int, *words: str, epoch: int = 1) -> FinalResult:
    spoken = tuple(Word(text, start + 160 * i, start + 160 * (i + 1), 0.9) for i, text in enumerate(words))
    return FinalResult(epoch, start, end, " ".join(words), spoken, EndReason.pause_after_speech)


def begun(quota: SessionQuota | None = None, **identity: Any) -> SessionMachine:
    """A machine that has asked for its first engine, at 0 ms."""
    machine = SessionMachine(replace(IDENTITY, **identity), LIMITS, quota or unlimited_quota(), 0)
    machine.begin(0)
    return machine


def streaming(quota: SessionQuota | None = None, **identity: Any) -> SessionMachine:
    """With its engine granted."""
    machine = begun(quota, **identity)
    machine.engine_event(granted(1), 0, "here")
    return machine


def told(effects: list[Any]) -> list[Any]:
    """What the client hears of it."""
    return [effect.message for effect in effects if isinstance(effect, SendToClient)]


def next_effects(machine: SessionMachine) -> list[Any]:
    """What time alone brings; nothing, if the session sleeps for ever."""
    for _ in range(20):
        if effects := machine.timer(machine.due_ms):
            return effects
    return []
