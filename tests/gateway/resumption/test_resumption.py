"""Who may go on with a session, from where, for how long, and what of it is free."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from engines.interface import StreamOptions
from gateway.errors import ClientFault, Reason
from gateway.resumption.resumption import Continued, Resumption, SessionNote
from gateway.resumption.settings import ResumptionSettings
from gateway.resumption.token_keys import load_token_keys
from gateway.session.origin import SessionOrigin
from gateway.wire.handshake import ResumeRequest, SessionRequest
from policies.facts import AudioEncoding, AudioFormat, Caller
from tests.harness.commit_points import point_at

if TYPE_CHECKING:
    from collections.abc import Callable

    from gateway.resumption.interface import CommitPoint

pytestmark = pytest.mark.unit

CALLER = Caller("acme", "web", "alice", "", frozenset(), "eu", 10_000)


class Points:
    """CommitPoints that write down what comes."""

    def __init__(self) -> None:
        self.known: CommitPoint | None = None
        self.claims: list[tuple[str, str, str]] = []
        self.commits: list[CommitPoint] = []
        self.closed: list[bool] = []

    def open(self, point: CommitPoint, _permitted: frozenset[str], _on_superseded: Callable[[], None]) -> Points:
        self.commits.append(point)
        return self

    def commit(self, point: CommitPoint) -> None:
        self.commits.append(point)

    def close(self, *, is_finished: bool) -> None:
        self.closed.append(is_finished)

    async def claim(self, session_id: str, org: str, home: str) -> CommitPoint | None:
        self.claims.append((session_id, org, home))
        return self.known


class Clock:
    now_s = 1_000.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def points() -> Points:
    return Points()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def resumption(points: Points, clock: Clock) -> Resumption:
    settings = ResumptionSettings(ttl_s=60, max_skipped_ms=1_000, resume_at=("ws://here",))
    return Resumption(settings, load_token_keys(settings), points, region="here", now_s=clock)


def note(continued: Continued | None = None, **options: str) -> SessionNote:
    return SessionNote("s", "s", CALLER, frozenset({"here"}), options, continued, 600_000)


def request(token: str, sample: int = 0, *, skipped: int = 0, **options: str) -> SessionRequest:
    audio = AudioFormat(AudioEncoding.pcm_s16le, 16_000, 1, 0)
    return SessionRequest(None, audio, StreamOptions(), ResumeRequest(token, sample, skipped), options)


async def test_a_session_goes_on_for_whom_it_began_for(resumption: Resumption, points: Points) -> None:
    token = resumption.token_for(note())
    points.known = point_at(16_000, generation=2)
    continued = await resumption.take_up(token, CALLER)
    assert points.claims == [("s", "acme", "here")]
    assert continued.generation == 2
    assert continued.tab_id.startswith("s.2.")
    assert token not in repr(continued)
    for stranger in (
        Caller("beta", "web", "", "", frozenset(), "eu", 0),
        Caller("acme", "", "", "", frozenset(), "eu", 0),
    ):
        with pytest.raises(ClientFault) as fault:
            await resumption.take_up(token, stranger)
        assert fault.value.reason is Reason.resume_token_invalid
    with pytest.raises(ClientFault) as fault:
        await resumption.take_up(token, Caller("acme", "web", "", "", frozenset(), "us", 0))
    assert fault.value.reason is Reason.resume_not_possible
    assert len(points.claims) == 1  # strangers claim nothing


async def test_it_ends_when_a_session_could_have_ended_at_the_latest(resumption: Resumption, clock: Clock) -> None:
    token = resumption.token_for(note())
    continued = await resumption.take_up(token, CALLER)
    clock.now_s += 500
    assert resumption.left_ms(continued, 600_000) == 100_000
    clock.now_s += 100
    with pytest.raises(ClientFault) as fault:
        resumption.left_ms(continued, 600_000)
    assert fault.value.reason is Reason.resume_expired
    later = resumption.token_for(note(continued))  # the new token ends no later
    clock.now_s += 60
    for each in (token, later):
        with pytest.raises(ClientFault) as fault:
            await resumption.take_up(each, CALLER)
        assert fault.value.reason is Reason.resume_expired


async def test_nobody_but_the_client_knows_and_it_goes_on_all_the_same(resumption: Resumption) -> None:
    token = resumption.token_for(note())
    continued = await resumption.take_up(token, CALLER)
    assert continued.generation == 2
    origin = resumption.origin_of(continued, request(token, 8_000))
    assert (origin.is_resumed, origin.start_sample) == (True, 8_000)
    assert origin.charged_through_sample == 0
    following = await resumption.take_up(resumption.token_for(note(continued)), CALLER)
    assert following.generation == 3


async def test_two_that_take_it_up_and_know_nothing_have_a_bill_each(resumption: Resumption) -> None:
    """One name for both would be one bill, and neither would learn of the other."""
    token = resumption.token_for(note())
    one, other = [await resumption.take_up(token, CALLER) for _ in range(2)]
    assert one.generation == other.generation == 2
    assert one.tab_id != other.tab_id


async def test_what_is_known_may_be_older_than_the_token(resumption: Resumption, points: Points) -> None:
    """A region that had the session before; whoever had it last must still lose it."""
    points.known = point_at(16_000, generation=2)
    continued = await resumption.take_up(resumption.token_for(note()), CALLER)
    token = resumption.token_for(note(continued))
    points.known = point_at(16_000, generation=2)
    again = await resumption.take_up(token, CALLER)
    assert again.generation == 3
    assert resumption.open(note(again), SessionOrigin(), lambda: None) is not None
    assert points.commits[-1].generation == 3


async def test_what_a_session_asks_for_does_not_change(resumption: Resumption) -> None:
    token = resumption.token_for(note(language="a", text="b"))
    continued = await resumption.take_up(token, CALLER)
    with pytest.raises(ClientFault, match="text") as fault:
        resumption.origin_of(continued, request(token, language="a", text="c"))
    assert fault.value.reason is Reason.bad_option
    resumption.origin_of(continued, request(token, language="a", text="b"))
    with pytest.raises(ClientFault, match="1000 ms"):
        resumption.origin_of(continued, request(token, 16_001, skipped=16_001, language="a", text="b"))


@given(st.integers(0, 100), st.integers(0, 100), st.integers(0, 100))
def test_free_is_only_what_was_charged_for_behind_the_last_known_final(sample: int, committed: int, ahead: int) -> None:
    from gateway.resumption.resumption import _origin

    point = point_at(committed, charged_through_sample=committed + ahead)
    origin = _origin(point, ResumeRequest("t", sample, 0))
    free = set(range(origin.free_from_sample, origin.charged_through_sample))
    assert origin.start_sample == sample
    assert free == {at for at in range(committed, committed + ahead) if at >= sample}
    assert origin.epoch > point.epoch


def test_a_session_that_goes_back_does_not_make_more_of_it_free(resumption: Resumption, points: Points) -> None:
    origin = SessionOrigin(is_resumed=True, start_sample=0, free_from_sample=16_000, charged_through_sample=20_000)
    session = resumption.open(note(), origin, lambda: None)
    session.commit(committed_sample=8_000, charged_through_sample=20_000, epoch=2, model="m", model_version="v")
    assert [point.committed_sample for point in points.commits] == [16_000, 16_000]
    session.commit(committed_sample=24_000, charged_through_sample=24_000, epoch=2, model="m", model_version="v")
    assert points.commits[-1] == point_at(24_000, epoch=2)
    session.close(Reason.client_gone)
    session.close(Reason.finished)
    assert points.closed == [False, True]


def test_clients_are_told_where_to_go_by_the_catalog_or_else_by_the_settings(points: Points) -> None:
    def told(settings: ResumptionSettings, named: tuple[str, ...]) -> tuple[str, ...]:
        keys = load_token_keys(settings)
        return Resumption(settings, keys, points, region="here", now_s=lambda: 0.0).resume_at(named)

    shared = ResumptionSettings(resume_at=("ws://here",), keys=(SecretStr("k" * 32),))
    assert told(shared, ("wss://there",)) == ("wss://there",)
    assert told(shared, ()) == ("ws://here",)
    alone = ResumptionSettings(resume_at=("ws://here",))  # the others would refuse its tokens
    assert told(alone, ("wss://there",)) == ("ws://here",)
