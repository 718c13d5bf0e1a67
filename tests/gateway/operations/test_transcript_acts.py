"""Promises of support access and erasure: nobody reads in silence, and nobody reads without an emergency."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
import structlog

from gateway.operations.audit_event import Act, AuditEvent
from gateway.operations.operators import Operator
from gateway.operations.refusals import ActRefused
from gateway.operations.transcript_acts import TranscriptActs, TranscriptParts
from tests.gateway.operations.glass_world import ADA, GRACE, GlassWorld
from tests.gateway.transcripts.transcript_world import (
    ASKS,
    HERE,
    STORAGE_RULES,
    TranscriptWorld,
    kept_final,
    kept_session,
    table_of,
)
from tests.harness.residency_bundle import rule

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.unit

MALLORY = Operator("mallory")


class ActsWorld(TranscriptWorld):
    """A store with a session of patient-7, an emergency book, and the acts between them."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.glass = GlassWorld(now_s=self.now_s)
        self.events: list[AuditEvent] = []
        self.acts = TranscriptActs(
            TranscriptParts(
                keeper=self.keeper,
                bundles=self,
                glass=self.glass.book,
                decisions=self,
                write=self._write,
                now_s=lambda: self.now_s,
                here=HERE,
            )
        )

    async def _write(self, event: AuditEvent) -> None:
        self.events.append(event)

    async def open_glass(self, **changes: Any) -> str:
        return await self.glass.opened(**{"regions": (HERE,), **changes})

    @property
    def told(self) -> list[tuple[str, str, str]]:
        return [(event.act.value, event.outcome, event.who) for event in self.events]


async def test_words_are_read_in_an_emergency_and_everything_says_so(tmp_path: Path) -> None:
    world = ActsWorld(tmp_path)
    await world.spoken("guten tag")
    permission = await world.open_glass()
    with structlog.testing.capture_logs() as logs:
        read = await world.acts.read(ADA, "s1", looks_from=HERE)
    assert [one.text for piece in read.pieces for one in piece.finals] == ["guten tag"]
    assert world.told == [("read", "read", "ada")]
    assert (world.events[0].order_id, "INC-7" in world.events[0].why) == (permission, True)
    (record,) = [record for record in world.records if record.action == "support_access"]
    assert (record.session, record.decision, record.context.break_glass, record.from_region) == (
        "s1",
        "Allow",
        permission,
        HERE,
    )
    assert record.determining_policy_ids == ("P06-support",)
    assert [row["event"] for row in logs if row["log_level"] == "error"] == ["break_glass.used", "transcript.read"]
    assert "guten tag" not in str(logs) + str(world.events) + str(world.records)


async def test_nobody_reads_without_a_permission_of_his_own(tmp_path: Path) -> None:
    world = ActsWorld(tmp_path)
    await world.spoken("guten tag")
    for who in (ADA, GRACE):
        with pytest.raises(ActRefused, match="needs_break_glass"):
            await world.acts.read(who, "s1", looks_from=HERE)
    await world.open_glass()
    with pytest.raises(ActRefused, match="needs_break_glass"):
        await world.acts.read(GRACE, "s1", looks_from=HERE)
    assert [event.is_refused for event in world.events] == [True, True, True]


@pytest.mark.parametrize("change", [{"actions": ("process",)}, {"project": "acme/other"}, {"regions": ("eu-west-1",)}])
async def test_a_permission_for_something_else_is_none(tmp_path: Path, change: dict[str, Any]) -> None:
    world = ActsWorld(tmp_path)
    await world.spoken("guten tag")
    await world.open_glass(**change)
    with pytest.raises(ActRefused, match="needs_break_glass"):
        await world.acts.read(ADA, "s1", looks_from=HERE)


async def test_policy_is_asked_of_where_he_sits_too_and_a_statutory_forbid_holds(tmp_path: Path) -> None:
    world = ActsWorld(tmp_path)
    await world.spoken("guten tag")
    forbid = rule(
        "F20-no-support-from-abroad",
        'forbid (principal, action == Asr::Action::"support_access", resource) unless { resource in '
        'Asr::Jurisdiction::"EEA" };',
        '@kind("statutory")',
    )
    world.table = table_of(ASKS, rules=STORAGE_RULES + forbid)
    await world.open_glass(regions=(HERE, "us-east-1"))
    with pytest.raises(ActRefused, match="F20-no-support-from-abroad"):
        await world.acts.read(ADA, "s1", looks_from="us-east-1")
    assert (await world.acts.read(ADA, "s1", looks_from=HERE)).pieces
    decisions = [record.decision for record in world.records if record.action == "support_access"]
    assert decisions == ["Deny", "Allow"]


async def test_without_a_record_nobody_reads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    world = ActsWorld(tmp_path)
    await world.spoken("guten tag")
    await world.open_glass()
    monkeypatch.setattr(TranscriptWorld, "is_writable", False)
    with pytest.raises(ActRefused, match="store_away"):
        await world.acts.read(ADA, "s1", looks_from=HERE)


async def test_a_permission_that_is_closed_while_the_look_is_written_down_shows_nothing(
    tmp_path: Path,
) -> None:
    world = ActsWorld(tmp_path)
    await world.spoken("guten tag")
    permission = await world.open_glass()

    async def write_and_close(event: AuditEvent) -> None:
        world.events.append(event)
        if event.outcome == "read":
            await world.glass.acts.close(GRACE, permission)

    world.acts = TranscriptActs(replace(world.acts._parts, write=write_and_close))
    with pytest.raises(ActRefused, match="needs_break_glass"):
        await world.acts.read(ADA, "s1", looks_from=HERE)


async def test_a_permission_for_one_project_shows_nothing_of_another_with_the_same_session(tmp_path: Path) -> None:
    world = ActsWorld(tmp_path)
    await world.spoken("guten tag")
    world.store.begin(kept_session("s1", "globex/clinic", begun_at_s=int(world.now_s) + 1), "patient-9")
    world.store.keep("s1", [kept_final("other words")])
    await world.open_glass()
    (piece,) = (await world.acts.read(ADA, "s1", looks_from=HERE)).pieces
    assert piece.session.project == "acme/clinic"


async def test_without_a_bundle_nobody_reads_and_nobody_erases(tmp_path: Path) -> None:
    world = ActsWorld(tmp_path)
    await world.spoken("guten tag")
    await world.open_glass()
    world.table = None
    with pytest.raises(ActRefused, match="not_permitted"):
        await world.acts.read(ADA, "s1", looks_from=HERE)
    (done,) = await world.acts.erase(ADA, "acme/clinic", "patient-7", "asked for it")
    assert (done.pieces, done.why_not) == (0, "not_permitted")


async def test_a_subject_is_erased_in_a_project_or_in_all_of_an_org(tmp_path: Path) -> None:
    world = ActsWorld(tmp_path)
    await world.spoken("one", session="s1")
    await world.spoken("two", session="s2", subject="patient-8")
    (done,) = await world.acts.erase(ADA, "acme/*", "patient-7", "art. 17")
    assert (done.project, done.pieces) == ("acme/clinic", 1)
    assert [kept.session for kept in await world.acts.sessions()] == ["s2"]
    assert world.told == [("erase", "erased", "ada")]
    assert "patient-7" not in str(world.events) + str(world.records)
    assert world.records[-1].action == "erase_transcript"


async def test_a_legal_hold_keeps_words_and_leaves_a_record(tmp_path: Path) -> None:
    world = ActsWorld(tmp_path)
    await world.spoken("one")
    world.table = table_of(f"{ASKS}\nlegal_hold = true")
    (done,) = await world.acts.erase(ADA, "acme/clinic", "patient-7", "art. 17")
    assert done.why_not == "legal_hold"
    assert await world.words_of() == ["one"]
    assert world.told == [("erase", "legal_hold", "ada")]
    assert world.records[-1].detail == "ada asked to erase a subject: legal_hold, 0 pieces"


async def test_what_is_not_there_and_what_cannot_be_are_told_apart(tmp_path: Path) -> None:
    world = ActsWorld(tmp_path)
    with pytest.raises(ActRefused, match="unknown_session"):
        await world.acts.read(MALLORY, "s9", looks_from=HERE)
    with pytest.raises(ActRefused, match="bad_request"):
        await world.acts.erase(MALLORY, "acme", "patient-7", "x")
    assert [event.act for event in world.events] == [Act.read, Act.erase]
