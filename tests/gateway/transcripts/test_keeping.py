"""Promises of the words that are kept: only what policy permits, nobody waits, and what is lost is told."""

from __future__ import annotations

import asyncio
import shutil
from typing import TYPE_CHECKING, Any

import pytest
import structlog

from gateway.transcripts.interface import Spoken, StoreFailed
from policies.retention import NotErased
from tests.gateway.transcripts.transcript_world import (
    ASKS,
    CLINIC,
    DAY_S,
    TranscriptWorld,
    final,
    table_of,
)

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.unit


async def test_finals_of_a_session_are_kept_and_read_back(tmp_path: Path) -> None:
    world = TranscriptWorld(tmp_path)
    assert await world.spoken("guten tag", "auf wiedersehen")
    (piece,) = await world.keeper.read("s1")
    assert ([one.text for one in piece.finals], piece.is_complete) == (["guten tag", "auf wiedersehen"], True)
    assert piece.session.keep_until_s == world.now_s + 30 * DAY_S
    (record,) = world.records
    assert (record.action, record.decision, record.chosen, record.determining_policy_ids) == (
        "store_transcript",
        "Allow",
        "eu-central-1",
        ("P20-words-stay-in-the-eu",),
    )
    assert world.figure("patchbay_transcript_finals_stored_total") == 2


@pytest.mark.parametrize(
    ("row", "more", "subject", "why"),
    [
        ('transcripts = { region = "eu-west-1", days = 30 }', {}, "patient-7", "other_region"),
        (ASKS, {}, "", "no_subject"),
        (ASKS, {"requires_consent": True}, "patient-7", "no_consent"),
        (ASKS, {"rules": ""}, "patient-7", "not_permitted"),
    ],
)
async def test_one_thing_that_lacks_is_enough_and_is_told(
    tmp_path: Path, row: str, more: dict[str, Any], subject: str, why: str
) -> None:
    world = TranscriptWorld(tmp_path)
    world.table = table_of(row, **more)
    assert not await world.spoken("guten tag", subject=subject)
    assert await world.keeper.sessions() == []
    assert [record.detail for record in world.records] == [f"words are not stored: {why}"]
    assert world.figure("patchbay_transcript_sessions_total", decision=why) == 1


async def test_nothing_is_kept_and_nothing_is_told_where_nobody_asked(tmp_path: Path) -> None:
    world = TranscriptWorld(tmp_path)
    for table, project in ((None, "acme/clinic"), (table_of(""), "acme/clinic"), (table_of(), "acme/other")):
        world.table = table
        assert not await world.spoken("guten tag", project=project)
    assert world.records == []
    assert [path for path in (tmp_path / "words").rglob("*") if path.is_file()] == []


async def test_consent_opens_the_store_where_the_profile_asks_for_it(tmp_path: Path) -> None:
    world = TranscriptWorld(tmp_path)
    world.table = table_of(ASKS, requires_consent=True)
    assert await world.spoken("guten tag", has_consent=True)


async def test_another_bundle_in_mid_session_is_asked_and_may_end_it(tmp_path: Path) -> None:
    world = TranscriptWorld(tmp_path)
    listener = world.keeper.listener(Spoken("s1", CLINIC, "patient-7"))
    assert listener is not None
    listener.heard(final("before"))
    world.table = table_of()
    listener.heard(final("the same rules"))
    await world.keeper.flush()
    world.table = table_of("")
    listener.heard(final("after"))
    world.table = None
    listener.heard(final("long after"))
    listener.ended()
    await world.keeper.flush()
    assert await world.words_of() == ["before", "the same rules"]
    (piece,) = await world.keeper.read("s1")
    assert not piece.is_complete
    assert world.records[-1].detail == "2 of 4 finals could not be stored"


async def test_a_slow_store_costs_finals_and_never_a_session(tmp_path: Path) -> None:
    world = TranscriptWorld(tmp_path, max_queued_finals=10)
    with structlog.testing.capture_logs() as logs:
        assert await world.spoken(*(f"utterance {number}" for number in range(25)))
    assert len(await world.words_of()) == 10
    assert world.figure("patchbay_transcript_finals_lost_total", reason="slow") == 15
    told = [row for row in logs if row["event"] == "transcript.incomplete"]
    assert [(row["finals"], row["lost"]) for row in told] == [(25, 15)]
    assert "utterance" not in str(logs)


async def test_a_full_store_keeps_what_it_has_and_tells_what_it_could_not_take(tmp_path: Path) -> None:
    world = TranscriptWorld(tmp_path, max_bytes=1_200)
    await world.spoken("kept", session="s1")
    with structlog.testing.capture_logs() as logs:
        assert await world.spoken("x" * 2_000, session="s2")
    assert await world.words_of("s1") == ["kept"]
    assert await world.words_of("s2") == []
    assert world.figure("patchbay_transcript_finals_lost_total", reason="full") == 1
    assert [row["reason"] for row in logs if row["event"] == "transcript.store_failed"] == ["full"]


async def test_a_store_that_cannot_write_ends_nobody(tmp_path: Path) -> None:
    world = TranscriptWorld(tmp_path)

    def refuse(*_arguments: object, **_named: object) -> None:
        raise StoreFailed("disk")

    world.store.begin = refuse  # type: ignore[method-assign]
    assert await world.spoken("lost")
    assert world.figure("patchbay_transcript_finals_lost_total", reason="disk") == 1


async def test_words_go_at_the_end_of_their_term_and_are_recorded(tmp_path: Path) -> None:
    world = TranscriptWorld(tmp_path)
    await world.spoken("guten tag")
    world.now_s += 30 * DAY_S - 1
    assert (await world.keeper.sweep()).erased == ()
    world.now_s += 1
    assert [kept.session for kept in (await world.keeper.sweep()).erased] == ["s1"]
    assert await world.keeper.sessions() == []
    assert [path.name for path in (tmp_path / "words").rglob("*") if path.is_file()] == ["lock"]
    assert world.records[-1].detail == "erased: its term is over"


@pytest.mark.parametrize(
    ("table", "why"),
    [
        (table_of(f"{ASKS}\nlegal_hold = true"), NotErased.legal_hold),
        (table_of(rules=""), NotErased.not_permitted),
        (None, NotErased.not_permitted),
    ],
)
async def test_what_may_not_be_erased_stays_beyond_its_term_and_is_told_once(
    tmp_path: Path, table: Any, why: NotErased
) -> None:
    world = TranscriptWorld(tmp_path)
    await world.spoken("guten tag")
    world.table = table
    world.now_s += 31 * DAY_S
    for _ in range(3):
        assert [kept.session for kept in (await world.keeper.sweep()).held] == ["s1"]
    assert await world.words_of() == ["guten tag"]
    assert [record.detail for record in world.records[1:]] == [f"kept beyond its term: {why.value}"]
    assert world.figure("patchbay_transcripts_overdue") == 1
    assert await world.keeper.erase("acme/clinic", "patient-7") == (why, 0)
    world.table = table_of()
    assert await world.keeper.erase("acme/clinic", "patient-7") == (None, 1)
    assert await world.words_of() == []


async def test_a_project_without_a_row_keeps_what_it_has(tmp_path: Path) -> None:
    """Somebody may have taken the row away while a hold stood on it."""
    world = TranscriptWorld(tmp_path)
    await world.spoken("guten tag")
    assert await world.keeper.erase("acme/gone", "patient-7") == (NotErased.not_permitted, 0)


async def test_only_the_words_of_that_subject_and_project_are_erased(tmp_path: Path) -> None:
    world = TranscriptWorld(tmp_path)
    await world.spoken("one", session="s1", subject="patient-7")
    await world.spoken("two", session="s2", subject="patient-8")
    await world.spoken("three", session="s3", subject="patient-7")
    assert await world.keeper.erase("acme/clinic", "patient-7") == (None, 2)
    assert [kept.session for kept in await world.keeper.sessions()] == ["s2"]


async def test_words_that_come_after_an_erasure_in_mid_session_are_not_kept(tmp_path: Path) -> None:
    world = TranscriptWorld(tmp_path)
    listener = world.keeper.listener(Spoken("s1", CLINIC, "patient-7"))
    assert listener is not None
    listener.heard(final("before"))
    await world.keeper.flush()
    await world.keeper.erase("acme/clinic", "patient-7")
    listener.heard(final("after"))
    listener.heard(final("and more"))
    listener.ended()
    await world.keeper.flush()
    assert await world.keeper.sessions() == []
    assert world.figure("patchbay_transcript_finals_lost_total", reason="erased") == 2


async def test_a_session_of_which_nothing_is_stored_yet_is_not_kept_after_an_erasure(tmp_path: Path) -> None:
    """Its subject asked to be forgotten while it spoke; only another subject's words, or a new session's, are kept."""
    world = TranscriptWorld(tmp_path)
    said = {}
    for session, subject in (("s1", "patient-7"), ("s2", "patient-8")):
        said[session] = world.keeper.listener(Spoken(session, CLINIC, subject))
    waiting = said["s1"]
    assert waiting is not None
    waiting.heard(final("guten tag", 0))
    assert await world.keeper.erase("acme/clinic", "patient-7") == (None, 0)
    for listener in said.values():
        assert listener is not None
        listener.heard(final("auf wiedersehen", 1_000))
        listener.ended()
    await world.keeper.flush()
    assert [kept.session for kept in await world.keeper.sessions()] == ["s2"]


async def test_words_that_wait_when_another_bundle_forbids_them_are_not_stored(tmp_path: Path) -> None:
    world = TranscriptWorld(tmp_path)
    listener = world.keeper.listener(Spoken("s1", CLINIC, "patient-7"))
    assert listener is not None
    listener.heard(final("waits"))
    world.table = table_of("")
    listener.ended()
    await world.keeper.flush()
    assert await world.keeper.sessions() == []
    assert world.records[-1].detail == "1 of 1 finals could not be stored"


async def test_a_store_that_breaks_in_any_way_ends_nothing(tmp_path: Path) -> None:
    world = TranscriptWorld(tmp_path)
    shutil.rmtree(tmp_path / "words")
    running = asyncio.create_task(world.keeper.run())
    assert await world.spoken("lost")
    assert (await world.keeper.sweep()).erased == ()
    world.store.begin = lambda *_arguments: 1 / 0  # type: ignore[method-assign, assignment]
    assert await world.spoken("lost too", session="s2")
    assert not running.done()
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    assert world.figure("patchbay_transcript_finals_lost_total", reason="damaged") == 1
