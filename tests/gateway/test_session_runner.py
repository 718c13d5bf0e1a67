"""The runner: one step is one step; effects go where they belong; ends are ends."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
import structlog
from opentelemetry import trace

from engines.interface import (
    EndReason,
    FinalResult,
    Granted,
    LossReason,
    Lost,
    MoveAway,
    MoveReason,
    Progress,
    StreamOptions,
    Word,
)
from gateway.audio.decoders import AudioDecoders
from gateway.audio.settings import AudioSettings
from gateway.client_queue import ClientQueue
from gateway.errors import ClientFault, Reason, SessionRefused
from gateway.metrics import GatewayMetrics
from gateway.resumption.skipping import SkippedHead
from gateway.session.credit import QuotaUpdate
from gateway.session.identity import SessionIdentity
from gateway.session.machine import SessionMachine
from gateway.session_runner import Observers, SessionRunner
from gateway.session_settings import SessionSettings
from gateway.wire.messages import Audio, AudioLost, ErrorMessage, Finalize, Finish, Finished, Gap, Migrated, Started
from policies.facts import AudioEncoding, AudioFormat
from policies.residency.permitted import Permitted
from tests.fakes.engine_pool import FakePool
from tests.fakes.quota import unlimited_quota
from tests.fakes.whole_placement import WholePool

if TYPE_CHECKING:
    from collections.abc import Callable

    from gateway.session.commits import SessionCommits
    from regions.links.interface import EnginePool
    from regions.placing import SessionPool

pytestmark = pytest.mark.unit

PCM = AudioFormat(AudioEncoding.pcm_s16le, 16_000, 1, 0)
PCM_100_MS = b"\x01\x00" * 1_600
SETTINGS = SessionSettings(held_audio_ms=20_000, max_utterance_ms=4_000, default_utterance_ms=4_000)


class Port:
    def __init__(self) -> None:
        self.calls: list[str] = []

    def pause(self) -> None:
        self.calls.append("pause")

    def resume(self) -> None:
        self.calls.append("resume")


class Place(WholePool):
    """Where a session is placed; remembers that it is over."""

    __slots__ = ("at_once", "is_closed", "permitted")

    def __init__(self, pool: EnginePool, region: str) -> None:
        super().__init__(pool, region)
        self.is_closed = False
        self.permitted: Permitted | None = None
        self.at_once: frozenset[str] = frozenset()

    def permit(self, permitted: Permitted, *, at_once: frozenset[str] = frozenset()) -> None:
        self.permitted = permitted
        self.at_once = at_once

    def close(self) -> None:
        self.is_closed = True


class Notebook:
    """The commits of a session, as they are written down."""

    def __init__(self) -> None:
        self.lines: list[Any] = []

    def commit(self, **point: Any) -> None:
        self.lines.append(point)

    def close(self, reason: Reason) -> None:
        self.lines.append(reason)


class Session:
    """A runner with real parts around it, a fake pool, and a clock that the test sets."""

    def __init__(
        self,
        *,
        bound: int = 64,
        is_obliging: bool = False,
        commits: SessionCommits | None = None,
        placed: SessionPool | None = None,
    ) -> None:
        """`placed`: where its streams are opened, if not in the fake pool."""
        self.now_ms = 0
        self.pool = FakePool(is_obliging=is_obliging)
        self.place = Place(self.pool, "elsewhere")
        self.queue = ClientQueue(bound)
        self.port = Port()
        self.metrics = GatewayMetrics()
        self.closed: list[SessionRunner] = []
        identity = SessionIdentity("s", "t", "r", StreamOptions(), 10**9, 0, resume_token="secret" if commits else "")
        decoders = AudioDecoders(AudioSettings(), asyncio.get_running_loop())
        span = trace.NoOpTracerProvider().get_tracer("test").start_span("session")
        self.runner = SessionRunner(
            SessionMachine(identity, SETTINGS.session_limits(), unlimited_quota(), 0),
            placed or self.place,
            self.queue,
            self.port,
            Observers(self.metrics, structlog.get_logger(), span, "test"),
            now_ms=lambda: self.now_ms,
            on_closed=self.closed.append,
        )
        self.runner.begin(
            PCM,
            lambda runner: decoders.open(PCM, on_pcm=runner.audio, on_error=runner.refuse),
            max_waiting_bytes=SETTINGS.max_waiting_bytes,
            commits=commits,
        )

    def grant(self) -> None:
        self.pool.last.say(Granted(self.pool.last.opened.epoch, "m", "v", 80_000))

    async def told(self) -> list[Any]:
        messages, _ = await self.queue.take()
        return messages

    def counted(self, counter: Any, **labels: str) -> float:
        return float((counter.labels(**labels) if labels else counter)._value.get())


async def test_audio_goes_to_the_engine_in_the_turn_it_comes() -> None:
    session = Session()
    session.grant()
    session.runner.client_message(Audio(PCM_100_MS))
    assert bytes(session.pool.last.audio) == PCM_100_MS


async def test_cuts_follow_their_audio() -> None:
    session = Session()
    session.grant()
    for message in (Audio(PCM_100_MS), Finalize("x"), Audio(PCM_100_MS), Finish()):
        session.runner.client_message(message)
    assert session.pool.last.cuts == [(1_600, False), (3_200, True)]


async def test_a_whole_session_is_told_counted_and_let_go() -> None:
    session = Session()
    session.grant()
    session.runner.client_message(Audio(PCM_100_MS))
    session.runner.client_message(Finish())
    session.now_ms = 40
    words = (Word("hi", 0, 1_600, 1.0),)
    session.pool.last.say(FinalResult(1, 0, 1_600, "hi", words, EndReason.finish))
    told = await session.told()
    assert isinstance(told[0], Started)
    assert isinstance(told[-1], Finished)
    assert session.closed == [session.runner]
    assert session.counted(session.metrics.sessions_closed, transport="test", reason="finished") == 1
    assert session.counted(session.metrics.audio_seconds) == pytest.approx(0.1)


async def test_an_engine_that_is_lost_is_replaced_and_counted() -> None:
    session = Session()
    session.grant()
    session.runner.client_message(Audio(PCM_100_MS))
    session.pool.last.say(Lost(1, LossReason.link_lost))
    assert len(session.pool.streams) == 2
    session.grant()
    assert bytes(session.pool.last.audio) == PCM_100_MS
    assert session.counted(session.metrics.engines_lost, reason="link_lost") == 1


async def test_a_clients_fault_ends_the_session_with_its_reason() -> None:
    session = Session()
    session.grant()
    session.runner.client_message(Audio(b"odd"))
    messages, reason = await session.queue.take()
    assert isinstance(messages[-1], ErrorMessage)
    assert messages[-1].reason == "misaligned_audio"
    assert reason is Reason.misaligned_audio
    assert session.pool.last.is_cancelled


async def test_a_full_session_stops_the_transport_and_room_starts_it_again() -> None:
    session = Session()
    session.grant()
    while not session.port.calls:
        session.runner.client_message(Audio(PCM_100_MS * 10))
    assert session.port.calls == ["pause"]
    held = session.runner.machine.held_samples
    session.runner.client_message(Audio(PCM_100_MS * 10))
    assert session.runner.machine.held_samples == held
    assert session.runner.waiting_bytes == 32_000
    session.pool.last.say(FinalResult(1, 0, 80_000, "", (), EndReason.max_length))
    assert session.port.calls == ["pause", "resume"]
    assert session.runner.waiting_bytes == 0


async def test_a_message_of_many_seconds_never_overfills_the_session() -> None:
    session = Session()
    session.grant()
    session.runner.client_message(Audio(bytes(32_000 * 60)))
    assert session.runner.machine.held_samples <= 20_000 * 16
    assert session.port.calls == ["pause"]


async def test_a_client_that_does_not_read_hears_only_why_it_is_sent_away() -> None:
    session = Session(bound=4)
    session.grant()
    for number in range(5):
        session.runner.client_message(Audio(PCM_100_MS))
        session.pool.last.say(FinalResult(1, number * 1_600, (number + 1) * 1_600, "", (), EndReason.finalize))
    messages, reason = await session.queue.take()
    assert [type(message) for message in messages] == [ErrorMessage]
    assert messages[0].reason == "client_too_slow"
    assert reason is Reason.client_too_slow
    assert session.pool.last.is_cancelled


async def test_a_paused_transport_is_let_go_when_the_session_ends() -> None:
    """It has to read on, to hear the client's close."""
    session = Session()
    session.grant()
    session.runner.client_message(Audio(bytes(32_000 * 60)))
    session.runner.refuse(ClientFault(Reason.idle_timeout))
    assert session.port.calls == ["pause", "resume"]


async def test_ticks_do_what_is_due() -> None:
    session = Session()
    session.grant()
    session.now_ms = SETTINGS.idle_timeout_ms
    assert session.runner.machine.due_ms <= session.now_ms
    session.runner.tick()
    assert session.closed == [session.runner]
    assert session.runner.machine.due_ms > session.now_ms


async def test_after_the_end_nothing_more_happens() -> None:
    session = Session()
    session.grant()
    session.runner.client_gone()
    session.runner.client_gone()
    session.runner.client_message(Audio(PCM_100_MS))
    session.runner.end_after_utterance(Reason.draining)
    assert session.closed == [session.runner]
    assert bytes(session.pool.last.audio) == b""


@pytest.mark.parametrize("turn", [SessionRunner.tick, lambda runner: runner.quota_update(QuotaUpdate(None))])
async def test_a_fault_of_ours_in_a_sessions_turn_ends_that_session_and_reaches_no_other(
    turn: Callable[[SessionRunner], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    session = Session()
    session.grant()
    session.runner.client_message(Audio(PCM_100_MS))

    def broken() -> None:
        raise ValueError("a fault")

    monkeypatch.setattr(session.runner, "_go_on", broken)
    turn(session.runner)
    assert session.closed == [session.runner]
    assert session.counted(session.metrics.sessions_closed, transport="test", reason="internal_error") == 1


async def test_a_session_whose_second_stream_could_not_be_opened_still_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its machine speaks to a standby that a fault of ours kept from coming to be."""
    session = Session()
    session.grant()
    session.runner.client_message(Audio(PCM_100_MS))
    session.pool.last.say(Progress(1, 800, 5))

    def broken(*_: object) -> None:
        raise ValueError("a fault")

    monkeypatch.setattr(session.pool, "open", broken)
    with pytest.raises(ValueError, match="a fault"):  # which its link would log
        session.pool.last.say(MoveAway(1, MoveReason.operator, 5_000))
    session.runner.client_gone()
    assert session.closed == [session.runner]
    assert session.place.is_closed


async def test_a_session_is_moved_from_one_stream_to_the_other_without_a_gap() -> None:
    session = Session()
    session.grant()
    session.runner.client_message(Audio(PCM_100_MS))
    first = session.pool.last
    first.say(Progress(1, 800, 5))
    first.say(MoveAway(1, MoveReason.region_draining, 5_000))
    second = session.pool.last
    assert not first.is_cancelled
    session.grant()
    session.runner.client_message(Audio(PCM_100_MS))
    session.runner.client_message(Finalize("x"))
    assert bytes(first.audio) == bytes(second.audio) == PCM_100_MS * 2
    assert first.cuts == second.cuts == [(3_200, False)]
    second.say(Progress(2, 800, 5))
    assert first.is_cancelled
    session.runner.client_message(Audio(PCM_100_MS))
    assert bytes(second.audio) == PCM_100_MS * 3
    migrated = [message for message in await session.told() if isinstance(message, Migrated)]
    assert migrated == [Migrated("region_draining", 200, 0, "v", "elsewhere")]
    assert session.counted(session.metrics.sessions_moved, reason="region_draining") == 1


async def test_a_standby_that_is_not_wanted_any_more_is_cancelled() -> None:
    session = Session()
    session.grant()
    session.runner.client_message(Audio(PCM_100_MS))
    session.pool.last.say(Progress(1, 800, 5))
    session.pool.last.say(MoveAway(1, MoveReason.operator, 5_000))
    session.runner.client_gone()
    assert [stream.is_cancelled for stream in session.pool.streams] == [True, True]


async def test_a_client_is_told_in_which_other_region_it_is_recognised() -> None:
    session = Session()
    session.grant()
    (started,) = await session.told()
    assert (started.region, started.engine_region) == ("r", "elsewhere")


async def test_the_place_of_a_session_is_told_that_it_is_over() -> None:
    session = Session()
    session.grant()
    assert not session.place.is_closed
    session.runner.client_gone()
    assert session.place.is_closed


async def test_how_far_a_session_is_gets_written_down_with_its_end() -> None:
    notebook = Notebook()
    session = Session(commits=notebook)
    session.grant()
    session.runner.client_message(Audio(PCM_100_MS))
    session.pool.last.say(Progress(1, 1_600, 5))
    session.pool.last.say(FinalResult(1, 0, 1_000, "", (), EndReason.silence_without_speech))
    session.runner.refuse(SessionRefused(Reason.draining))
    where = {"epoch": 1, "model": "m", "model_version": "v"}
    assert notebook.lines == [
        {"committed_sample": 0, "charged_through_sample": 0, **where},
        {"committed_sample": 1_000, "charged_through_sample": 1_600, **where},
        Reason.draining,
    ]


async def test_its_regions_of_now_are_told_to_whoever_places_it() -> None:
    session = Session()
    permitted = Permitted.everywhere_in(frozenset({"eu-west"}))
    session.runner.permit(permitted)
    assert session.place.permitted == permitted


async def test_a_gap_behind_audio_that_is_skipped_is_told_where_it_is() -> None:
    session = Session()
    session.runner.head = SkippedHead(1_600, session.runner.audio, session.runner.keepalive)
    session.grant()
    session.runner.head(bytes(1_600))
    session.runner.client_message(Gap(1_600))
    assert AudioLost(0, 50) in await session.told()
