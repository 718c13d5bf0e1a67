"""A stream that is outside of its session's policy set ends by this gateway's own clock."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from engines.interface import LossReason, Lost, MoveAway, MoveReason, OpenStream, StreamOptions
from policies.plans import Tier
from policies.residency.permitted import Permitted
from regions.placed_stream import PlacedStream
from regions.placing import SessionPlace
from regions.policy_exit import PolicyExit
from regions.session_fence import SessionFence
from tests.harness.waiting import until
from tests.regions.placement_world import turns

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.unit

NORTH = frozenset({"north"})
WITHIN_MS = 20


class Inner:
    """A link's stream."""

    def __init__(self) -> None:
        self.audio: list[bytes] = []
        self.is_cancelled = False

    def send_audio(self, pcm16: bytes) -> None:
        self.audio.append(pcm16)

    def finalize(self, at_sample: int) -> None:
        """Nobody looks."""

    finish = finalize

    def cancel(self, reason: LossReason | None = None) -> None:
        self.is_cancelled = True


class Session:
    """One that has one stream, in `north`."""

    def __init__(self, *, has_other: bool = True) -> None:
        self.heard: list[object] = []
        self.asked_anew: list[PlacedStream] = []
        self.ends: list[Lost] = []
        self._has_other = has_other
        self.fence = SessionFence(SessionPlace("s", Permitted.everywhere_in(NORTH), Tier.standard, 0))
        self.exit = PolicyExit(self, self.fence, within_ms=WITHIN_MS)
        seeker: Any = self
        self.stream = PlacedStream(
            OpenStream(session_id="s", tenant="t", epoch=1, start_sample=0, options=StreamOptions()),
            self.heard.append,
            seeker,
        )
        self.inner: Any = Inner()
        self.stream.inner = self.inner
        region: Any = SimpleNamespace(name="north")
        self.stream.region = region

    def permit(self, *regions: str, at_once: frozenset[str] = frozenset()) -> None:
        self.fence.permitted = Permitted.everywhere_in(frozenset(regions))
        self.exit.look_at(self.stream, at_once)

    def has_other(self, stream: PlacedStream) -> bool:
        return self._has_other

    def ask_anew(self, stream: PlacedStream) -> None:
        self.asked_anew.append(stream)

    def tell_end(self, stream: PlacedStream, lost: Lost) -> None:
        self.ends.append(lost)
        stream.end()


async def test_who_has_another_place_is_told_to_move_and_handed_back_after_a_bound() -> None:
    session = Session()
    session.stream.grant()
    session.permit("east")
    session.permit("south")
    await until(lambda: bool(session.ends), what="the end")
    assert session.heard == [MoveAway(1, MoveReason.outside_policy, WITHIN_MS)]
    assert (session.ends, session.inner.is_cancelled) == ([Lost(1, LossReason.drained)], True)


async def test_who_has_none_is_handed_back_without_a_word_before() -> None:
    session = Session(has_other=False)
    session.stream.grant()
    session.permit()
    await until(lambda: bool(session.ends), what="the end")
    assert session.heard == []


def _by_a_link(session: Session) -> None:
    session.stream.move_reason = MoveReason.outside_policy


def _by_nobody(_session: Session) -> None:
    """Nothing was said."""


@pytest.mark.parametrize("was_told", [_by_a_link, _by_nobody])
async def test_time_runs_by_our_own_clock_whatever_was_said_before(was_told: Callable[[Session], None]) -> None:
    session = Session()
    session.stream.grant()
    was_told(session)
    session.permit("east")
    await until(lambda: bool(session.ends), what="the end")


async def test_nothing_goes_to_a_region_that_must_be_left_at_once_not_even_while_a_move_runs() -> None:
    session = Session()
    session.stream.grant()
    session.permit("east")
    session.stream.send_audio(b"\0\0")
    session.permit("east", at_once=NORTH)
    session.stream.send_audio(b"\1\1")
    assert (session.inner.audio, session.inner.is_cancelled) == ([b"\0\0"], True)
    await turns()
    assert session.ends == [Lost(1, LossReason.drained)]


def test_a_question_is_taken_back_and_what_may_stay_stays() -> None:
    session = Session()
    session.permit("north")
    assert session.asked_anew == []
    session.permit("east")
    assert session.asked_anew == [session.stream]


async def test_what_is_permitted_again_in_time_stays() -> None:
    session = Session()
    session.stream.grant()
    session.permit("east")
    session.permit("north")
    await until(lambda: session.stream.timer is None, what="its time")
    assert (session.ends, session.stream.move_reason, session.stream.is_told_to_move) == ([], None, False)
