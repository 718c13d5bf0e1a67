"""Promises of a relay's streams, with a pool and a link that only note what they are told."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from prometheus_client import CollectorRegistry

from engines.errors import LinkMisused
from engines.interface import (
    EndReason,
    FinalResult,
    Granted,
    LoadReport,
    LossReason,
    Lost,
    MoveAway,
    MoveReason,
    OpenStream,
    Progress,
    RefusalReason,
    Refused,
    StreamEvent,
    StreamOptions,
)
from policies.residency.grant import PlacementGrant
from regions.relay.guard import Admitted
from regions.relay.host import MAX_PENDING_CUTS, RelayedStream, RelayFloor, RelayHost
from regions.relay.metrics import RelayMetrics
from regions.relay.settings import RelaySettings
from tests.harness.waiting import until

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

pytestmark = pytest.mark.unit

OPENED = OpenStream(session_id="s", tenant="t", epoch=7, start_sample=100, options=StreamOptions(), is_replay=True)


class Engine:
    """A pool of one engine, and the one stream that it was asked for."""

    def __init__(self) -> None:
        self.asked: list[OpenStream] = []
        self.told: list[object] = []
        self.say: Callable[[StreamEvent], None] = lambda _: None

    def open(self, stream: OpenStream, on_event: Callable[[StreamEvent], None]) -> Engine:
        self.asked.append(stream)
        self.say = on_event
        return self

    def loads(self) -> list[LoadReport]:
        return []

    def send_audio(self, pcm16: bytes) -> None:
        self.told.append(pcm16)

    def finalize(self, at_sample: int) -> None:
        self.told.append(("finalize", at_sample))

    def finish(self, at_sample: int) -> None:
        self.told.append(("finish", at_sample))

    def cancel(self, reason: LossReason | None = None) -> None:
        self.told.append("cancel")


class Sink:
    """The peer's link."""

    def __init__(self) -> None:
        self.heard: list[StreamEvent] = []
        self.over: list[int] = []

    def send(self, stream_id: int, event: StreamEvent) -> None:
        self.heard.append(event)

    def ended(self, stream_id: int) -> None:
        self.over.append(stream_id)


class Desk:
    def __init__(self, folder: Path, *, grants: bool = True, **settings: int) -> None:
        files = {name: folder / name for name in ("certificate_file", "key_file", "ca_file")}
        made = RelaySettings.model_validate({**files, **settings})
        self.engine, self.sink = Engine(), Sink()
        self.floor = RelayFloor("there", self.engine, made, RelayMetrics(CollectorRegistry()), lambda _name: True)
        self.host = RelayHost(self.floor, "here")
        if grants:
            stream = self.host.open(self.sink, 1, OPENED)
            assert stream is not None
            self.stream: RelayedStream = stream
            self.engine.say(Granted(7, "m", "v", 10))


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


def test_everything_passes_unchanged(desk: Desk) -> None:
    events = [
        Progress(7, 102, 5),
        MoveAway(7, MoveReason.engine_draining, 9),
        FinalResult(7, 100, 102, "", (), EndReason.finalize),
    ]
    desk.host.audio(desk.stream, b"abcd")
    desk.host.cut(desk.stream, 102, is_last=False)
    for event in events:
        desk.engine.say(event)
    assert desk.engine.asked == [OPENED]
    assert desk.engine.told == [b"abcd", ("finalize", 102)]
    assert desk.sink.heard == [Granted(7, "m", "v", 10), *events]
    assert desk.sink.over == []


@pytest.mark.parametrize(
    "last",
    [
        FinalResult(7, 100, 100, "", (), EndReason.finish),
        Lost(7, LossReason.engine_failed),
        Lost(7, LossReason.link_lost),
    ],
)
def test_a_stream_that_is_over_is_over_once(desk: Desk, last: StreamEvent) -> None:
    desk.host.cut(desk.stream, 100, is_last=True)
    desk.engine.say(last)
    desk.host.lose(desk.stream, LossReason.protocol_broken)
    desk.host.cancel(desk.stream)
    assert desk.sink.heard[1:] == [last]
    assert desk.sink.over == [1]
    assert desk.engine.told == [("finish", 100)]
    assert (desk.host.open_streams, desk.floor.streams_of_peer) == (0, {"here": 0})


def test_what_a_peer_cancels_the_engine_forgets(desk: Desk) -> None:
    desk.host.cancel(desk.stream)
    desk.host.cancel(desk.stream)
    assert desk.engine.told == ["cancel"]
    assert desk.sink.over == []


def test_a_stream_that_breaks_the_protocol_is_lost_and_cancelled(desk: Desk) -> None:
    desk.host.lose(desk.stream, LossReason.protocol_broken)
    assert desk.engine.told == ["cancel"]
    assert desk.sink.heard[1:] == [Lost(7, LossReason.protocol_broken)]
    assert desk.sink.over == [1]


def test_a_peer_may_be_a_window_and_one_message_ahead_and_no_more(desk: Desk) -> None:
    desk.host.audio(desk.stream, bytes(20))
    desk.host.audio(desk.stream, bytes(20))
    with pytest.raises(LinkMisused, match="beyond the window"):
        desk.host.audio(desk.stream, bytes(2))
    desk.engine.say(Progress(7, 115, 0))
    desk.host.audio(desk.stream, bytes(20))
    with pytest.raises(LinkMisused, match="beyond the window"):
        desk.host.audio(desk.stream, bytes(22))


def test_what_may_not_be_said_is_misuse(desk: Desk, tmp_path: Path) -> None:
    with pytest.raises(LinkMisused, match="half"):
        desk.host.audio(desk.stream, b"a")
    with pytest.raises(LinkMisused, match="not where"):
        desk.host.cut(desk.stream, 101, is_last=False)
    for _ in range(MAX_PENDING_CUTS):
        desk.host.cut(desk.stream, 100, is_last=False)
    with pytest.raises(LinkMisused, match="too many cuts"):
        desk.host.cut(desk.stream, 100, is_last=False)
    desk.engine.say(FinalResult(7, 100, 100, "", (), EndReason.finalize))
    desk.host.cut(desk.stream, 100, is_last=True)
    with pytest.raises(LinkMisused, match="after finish"):
        desk.host.audio(desk.stream, b"ab")
    with pytest.raises(LinkMisused, match="after finish"):
        desk.host.cut(desk.stream, 100, is_last=True)
    ungranted = Desk(tmp_path, grants=False)
    waiting = ungranted.host.open(ungranted.sink, 2, OPENED)
    assert waiting is not None
    with pytest.raises(LinkMisused, match="beyond the window"):
        ungranted.host.audio(waiting, b"ab")


def test_a_region_that_drains_and_a_peer_with_its_share_are_refused_unasked(tmp_path: Path) -> None:
    desk = Desk(tmp_path, max_streams_per_peer=1)
    assert desk.host.open(desk.sink, 2, OPENED) is None
    assert desk.sink.heard[-1] == Refused(7, RefusalReason.no_free_slot, 500)
    desk.host.cancel(desk.stream)
    desk.floor.is_draining = True
    assert desk.host.open(desk.sink, 3, OPENED) is None
    assert desk.sink.heard[-1] == Refused(7, RefusalReason.draining)
    assert len(desk.engine.asked) == 1
    assert desk.host.load().is_draining


# --- what policy permits --------------------------------------------------------------------------------------


class Guard:
    """Admits what it is told to admit; a test changes its mind."""

    def __init__(self, *, permits: bool = True, at_once: bool = False) -> None:
        self.permits = permits
        self.at_once = at_once

    def admit(self, opened: OpenStream, *, peer: str) -> Admitted | str:
        assert peer == "here"
        grant = PlacementGrant(session_id="s", tenant="t", issuer="here", issued_at_s=0, expires_at_s=1)
        return Admitted(opened, grant) if self.permits else "own_policy"

    def may_stay(self, _admitted: Admitted) -> bool:
        return self.permits

    def leaves_at_once(self, _grant: PlacementGrant) -> bool:
        return self.at_once


def guarded(folder: Path, guard: Guard, **settings: int) -> Desk:
    desk = Desk(folder, grants=False, **settings)
    desk.floor.guard = guard  # type: ignore[assignment]
    opened = desk.host.open(desk.sink, 1, OPENED)
    if opened is not None:
        desk.stream = opened
        desk.engine.say(Granted(7, "m", "v", 10))
    return desk


def test_what_the_guard_does_not_admit_is_refused_and_no_engine_hears_of_it(tmp_path: Path) -> None:
    desk = guarded(tmp_path, Guard(permits=False))
    assert desk.sink.heard == [Refused(7, RefusalReason.not_permitted, None, "own_policy")]
    assert (desk.engine.asked, desk.host.open_streams) == ([], 0)


async def test_when_policy_changes_what_is_outside_moves_and_is_handed_back(tmp_path: Path) -> None:
    guard = Guard()
    desk = guarded(tmp_path, guard, outside_policy_ms=20)
    guard.permits = False
    list(desk.host.look_at_policy())
    list(desk.host.look_at_policy())
    assert desk.sink.heard[1:] == [MoveAway(7, MoveReason.outside_policy, 20)]
    await until(lambda: desk.host.open_streams == 0, what="the end of its time")
    assert (desk.sink.heard[2:], desk.engine.told) == ([Lost(7, LossReason.drained)], ["cancel"])


async def test_what_is_permitted_again_by_then_stays(tmp_path: Path) -> None:
    guard = Guard()
    desk = guarded(tmp_path, guard, outside_policy_ms=20)
    guard.permits = False
    list(desk.host.look_at_policy())
    guard.permits = True
    await until(lambda: desk.stream.leaving is None, what="the end of its time")
    assert (desk.host.open_streams, len(desk.sink.heard)) == (1, 2)


def test_what_must_stop_at_once_is_handed_back_in_the_same_turn(tmp_path: Path) -> None:
    guard = Guard(at_once=True)
    desk = guarded(tmp_path, guard)
    guard.permits = False
    list(desk.host.look_at_policy())
    assert desk.sink.heard[1:] == [Lost(7, LossReason.drained)]
    assert desk.engine.told == ["cancel"]


async def test_what_no_engine_has_granted_yet_does_not_begin_under_a_policy_that_forbids_it(tmp_path: Path) -> None:
    guard, desk = Guard(), Desk(tmp_path, grants=False, outside_policy_ms=60_000)
    desk.floor.guard = guard  # type: ignore[assignment]
    assert desk.host.open(desk.sink, 1, OPENED) is not None
    guard.permits = False
    list(desk.host.look_at_policy())
    assert desk.sink.heard == [Lost(7, LossReason.drained)]
    assert desk.engine.told == ["cancel"]


async def test_an_embargo_does_not_wait_for_a_move_that_is_under_way(tmp_path: Path) -> None:
    guard = Guard()
    desk = guarded(tmp_path, guard, outside_policy_ms=60_000)
    guard.permits = False
    list(desk.host.look_at_policy())
    guard.at_once = True
    list(desk.host.look_at_policy())
    assert desk.sink.heard[2:] == [Lost(7, LossReason.drained)]
    assert desk.stream.leaving is not None
    assert desk.stream.leaving.cancelled()


async def test_a_stream_that_ends_before_its_time_is_over_is_not_handed_back(tmp_path: Path) -> None:
    guard = Guard()
    desk = guarded(tmp_path, guard, outside_policy_ms=20)
    guard.permits = False
    list(desk.host.look_at_policy())
    desk.host.cancel(desk.stream)
    assert desk.stream.leaving is not None
    assert desk.stream.leaving.cancelled()
