"""How a stream leaves a region, or a machine there, that its session's policy set does not permit any more.

These must stay true:
  - What is outside of the set goes on for `outside_policy_ms` at most by this gateway's own clock, whatever the region
    or its engine said of moves before.
  - A region that must be left at once gets not one sample more.
  - A question that was not answered yet is taken back, and asked elsewhere.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Protocol

from engines.interface import LossReason, Lost, MoveAway, MoveReason

if TYPE_CHECKING:
    from regions.placed_stream import PlacedStream
    from regions.session_fence import SessionFence


class Session(Protocol):
    """What an exit asks of the session whose streams leave."""

    def has_other(self, stream: PlacedStream) -> bool:
        """Whether there is another place for it now."""

    def ask_anew(self, stream: PlacedStream) -> None:
        """Take back what it asked a region, and look for another soon."""

    def tell_end(self, stream: PlacedStream, lost: Lost) -> None:
        """It is over, unless it is already; the session has it replayed elsewhere."""


class PolicyExit:
    """One a session. `within_ms`: how long a stream may go on outside while its session moves."""

    def __init__(self, session: Session, fence: SessionFence, *, within_ms: int) -> None:
        self._session = session
        self._fence = fence
        self._within_ms = within_ms

    def look_at(self, stream: PlacedStream, at_once: frozenset[str]) -> None:
        """The set is another one. `at_once`: regions in which nothing may go on for a moment."""
        if stream.region is None or self._fence.may_stay(stream, stream.region):
            return
        if not stream.is_granted:
            self._session.ask_anew(stream)
            return
        if stream.region.name in at_once:
            self._cut_off(stream)
            return
        if stream.is_told_to_move and stream.move_reason is MoveReason.outside_policy:
            return  # its time runs already; what its region said of its own policy sets none
        self._begin(stream, leaves_region=not self._fence.may_ask(stream, stream.region.name))

    def _begin(self, stream: PlacedStream, *, leaves_region: bool) -> None:
        stream.leaves_region = leaves_region
        has_other = self._session.has_other(stream)
        within_ms = self._within_ms if has_other else 0
        if has_other:
            move = MoveAway(stream.asked.epoch, MoveReason.outside_policy, within_ms)
            asyncio.get_running_loop().call_soon(stream.tell, move)
        stream.is_told_to_move = True
        stream.move_reason = MoveReason.outside_policy
        stream.later(within_ms, self._hand_back_if_outside)

    def _cut_off(self, stream: PlacedStream) -> None:
        """The session hears of it in a turn of the loop."""
        stream.silence()
        stream.move_reason = MoveReason.outside_policy
        if stream.inner is not None:
            stream.inner.cancel()
        lost = Lost(stream.asked.epoch, LossReason.drained)
        asyncio.get_running_loop().call_soon(self._session.tell_end, stream, lost)

    def _hand_back_if_outside(self, stream: PlacedStream) -> None:
        stream.timer = None
        if stream.is_over or stream.region is None or self._fence.may_stay(stream, stream.region):
            stream.is_told_to_move = False
            stream.move_reason = None
            return
        if stream.inner is not None:
            stream.inner.cancel()
        self._session.tell_end(stream, Lost(stream.asked.epoch, LossReason.drained))
