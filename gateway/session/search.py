"""A session's search for an engine: how long it has been without one, how often it asked, when it asks again, when it
gives up and what the client is told then.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from engines.interface import RefusalReason
from gateway.errors import Reason
from policies.failover import GiveUp, give_up, retry_delay_ms

if TYPE_CHECKING:
    from engines.interface import LossReason, MoveReason, Refused
    from gateway.session.limits import SessionLimits

NEVER_MS = 1 << 62
_WHY_NONE = {
    RefusalReason.unknown_model: "no engine has the version of the model that this session is bound to",
    RefusalReason.no_free_slot: "this session's engine is gone, and no other one has a free slot",
}
"""What the last engine that was asked said, where a session that had one finds no other."""


class InVain(NamedTuple):
    """Why nothing was found, for the client."""

    reason: Reason
    detail: str = ""
    retry_after_ms: int | None = None


class EngineSearch:
    """Begins when a session opens or loses its engine; ends with a grant."""

    __slots__ = (
        "_attempt",
        "_jitter_permille",
        "_opening_ms",
        "_recovery",
        "_room_in_ms",
        "_turn_ms",
        "ask_again_at_ms",
        "asked_at_ms",
        "loss",
        "losses",
        "refusal",
        "since_ms",
    )

    def __init__(self, limits: SessionLimits, *, jitter_permille: int, now_ms: int) -> None:
        self._recovery = limits.recovery
        self._opening_ms = limits.opening_ms
        self._jitter_permille = jitter_permille
        self._attempt = 0
        self._turn_ms = 0
        self._room_in_ms = NEVER_MS
        self.losses = 0
        self.loss: LossReason | MoveReason | None = None
        """Why the session is without an engine; None: it never had one."""
        self.refusal: Refused | None = None
        """The last one of this search."""
        self.since_ms = now_ms
        self.asked_at_ms = now_ms
        self.ask_again_at_ms = NEVER_MS

    def asked(self, now_ms: int) -> None:
        self._attempt += 1
        self.asked_at_ms = now_ms
        self.ask_again_at_ms = NEVER_MS

    def refused(self, event: Refused) -> None:
        """An engine that has no room is a failed try; to be told to wait for one's turn is none."""
        self.refusal = event
        if event.reason is RefusalReason.paced:
            self._attempt -= 1
            turn_ms = min(event.retry_after_ms or self._recovery.first_delay_ms, self._recovery.max_delay_ms)
            self._turn_ms = self._spread(turn_ms)
        elif event.reason is RefusalReason.no_free_slot and event.retry_after_ms:
            self._room_in_ms = self._spread(event.retry_after_ms)

    def _spread(self, delay_ms: int) -> int:
        return delay_ms + delay_ms * self._jitter_permille // 2_000

    def found(self) -> None:
        self._attempt = 0
        self._turn_ms = 0
        self._room_in_ms = NEVER_MS
        self.loss = None
        self.refusal = None

    def lost(self, reason: LossReason, now_ms: int) -> None:
        """A granted engine is gone: the search begins anew, at once."""
        self.losses += 1
        self.left(reason, now_ms)

    def left(self, reason: LossReason | MoveReason, now_ms: int) -> None:
        """As `lost`, where it is not the engine that failed."""
        self.loss = reason
        self.since_ms = now_ms

    def proven(self) -> None:
        """A final came: whatever killed engines before, it was not this audio."""
        self.losses = 0

    def plan_next(self, now_ms: int) -> bool:
        """True: ask now. False: `ask_again_at_ms` says when."""
        delay_ms, self._turn_ms = self._turn_ms, 0
        if delay_ms == 0:
            delay_ms = retry_delay_ms(self._attempt, jitter_permille=self._jitter_permille, limits=self._recovery)
            # Who has no room knows best when there may be some.
            delay_ms = min(delay_ms, self._room_in_ms)
        self._room_in_ms = NEVER_MS
        if delay_ms == 0:
            return True
        self.ask_again_at_ms = now_ms + delay_ms
        return False

    def waited_ms(self, now_ms: int) -> int:
        return now_ms - self.since_ms

    def give_up_at_ms(self, *, is_opening: bool) -> int:
        """One whose client was not told of an engine yet, be it new or resumed here, does not wait as long as one that
        lost its engine: its client hears nothing meanwhile, and may find room at another gateway.
        """
        timeout_ms = self._recovery.timeout_ms
        return self.since_ms + (min(timeout_ms, self._opening_ms) if is_opening else timeout_ms)

    def in_vain(self, now_ms: int, *, is_opening: bool) -> InVain | None:
        """What to tell the client when it is time to give up."""
        waited_ms = self.waited_ms(now_ms)
        if is_opening and waited_ms >= self._opening_ms:
            return self._no_engine_to_open_on()
        match give_up(without_engine_ms=waited_ms, losses=self.losses, limits=self._recovery):
            case GiveUp.too_many_losses:
                return InVain(Reason.engine_unavailable, "several engines were lost on the same audio")
            case GiveUp.out_of_time:
                detail = "" if self.refusal is None or is_opening else _WHY_NONE.get(self.refusal.reason, "")
                return InVain(Reason.engine_unavailable, detail)
            case None:
                return None

    def _no_engine_to_open_on(self) -> InVain:
        """Whether there was none, none with a free slot, or none where the audio may go."""
        if self.refusal is not None and self.refusal.reason is RefusalReason.no_permitted_region:
            return InVain(Reason.no_permitted_region)
        if self.refusal is not None and self.refusal.reason is RefusalReason.not_permitted:
            return InVain(Reason.not_permitted)
        if self.refusal is None or self.refusal.reason not in (RefusalReason.no_free_slot, RefusalReason.paced):
            is_bound = self.refusal is not None and self.refusal.reason is RefusalReason.unknown_model
            return InVain(Reason.engine_unavailable, _WHY_NONE[RefusalReason.unknown_model] if is_bound else "")
        retry_after_ms = self.refusal.retry_after_ms
        return InVain(
            Reason.no_capacity, retry_after_ms=None if retry_after_ms is None else self._spread(retry_after_ms)
        )
