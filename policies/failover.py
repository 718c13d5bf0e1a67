"""How often, how soon and how long a session looks for another engine: pure rules.

Source of the shape: capped exponential backoff with jitter, so that sessions that lost the same engine do not return
as a herd (M. Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog, 2015: "equal jitter").
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

_LARGEST_EXPONENT = 16


@dataclass(frozen=True, slots=True)
class RecoveryLimits:
    """`timeout_ms`: how long a session may be without an engine. `max_losses`: engines lost since the last final
    before the audio itself is suspected of killing them.
    """

    first_delay_ms: int
    max_delay_ms: int
    timeout_ms: int
    max_losses: int


class GiveUp(StrEnum):
    """Why a session stops looking."""

    out_of_time = "out_of_time"
    too_many_losses = "too_many_losses"


def give_up(*, without_engine_ms: int, losses: int, limits: RecoveryLimits) -> GiveUp | None:
    """Whether to stop looking for an engine. `losses` counts granted engines lost since the last final."""
    if losses > limits.max_losses:
        return GiveUp.too_many_losses
    if without_engine_ms >= limits.timeout_ms:
        return GiveUp.out_of_time
    return None


def retry_delay_ms(attempt: int, *, jitter_permille: int, limits: RecoveryLimits) -> int:
    """Wait before the `attempt`-th try (0 is at once), half of it fixed and half drawn by `jitter_permille`.

    Args:
        jitter_permille: 0 to 999, drawn by the caller once a session.
    """
    if attempt <= 0:
        return 0
    ceiling_ms = min(limits.max_delay_ms, limits.first_delay_ms << min(attempt - 1, _LARGEST_EXPONENT))
    return ceiling_ms // 2 + ceiling_ms * jitter_permille // 2_000
