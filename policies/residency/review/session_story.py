"""The story of one session from its decision records: where it was, why there, and under which rules."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from policies.residency.record import DecisionRecord, Event
from policies.residency.review.explain import RuleTold, rule_told
from policies.residency.vocabulary import Trigger, Verdict

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from policies.residency.bundles.bundle import Bundle

_WHY_MOVED = {
    Trigger.failover.value: "its engine was lost or took no audio any more",
    Trigger.drain.value: "the region or the engine was being emptied",
    Trigger.rebalance.value: "sessions were spread anew",
}
_NO_RULE = "no rule permits it"


@dataclass(frozen=True, slots=True)
class Chapter:
    """One record, told. `rules`: ids of those that decided. `version`: number of the version, from 1; 0: none."""

    at_ms: int
    gateway: str
    event: str
    sentence: str
    rules: tuple[str, ...]
    version: int
    record: DecisionRecord


@dataclass(frozen=True, slots=True)
class Version:
    """Rules and rows that decided.

    Attributes:
        name: of the bundle with its version and who approved it; empty: neither the log nor a bundle says.
        is_at_hand: the bundle was given, so that its rules can be told.
    """

    number: int
    policy_digest: str
    entities_digest: str
    schema_digest: str
    name: str
    is_at_hand: bool


@dataclass(frozen=True, slots=True)
class Story:
    """`rules`: those that decided, by id, as far as a bundle at hand has them in the version that decided."""

    session: str
    org: str
    project: str
    profile: str
    chapters: tuple[Chapter, ...]
    versions: tuple[Version, ...]
    rules: tuple[tuple[str, int, RuleTold], ...]


def story_of(records: Sequence[DecisionRecord], changes: Iterable[DecisionRecord], bundles: Iterable[Bundle]) -> Story:
    """Tell it.

    Args:
        records: of one session, by time; at least one.
        changes: records of bundles that came into force: they say name, version and who approved.
        bundles: at hand, of whatever version.
    """
    named = {_digests(change): change.detail for change in changes if change.action == "taken"}
    at_hand = {(each.policy_digest, each.entities_digest, each.schema_digest): each for each in bundles}
    versions: dict[tuple[str, str, str], Version] = {}
    chapters = []
    for record in records:
        digests = _digests(record)
        if record.policy_digest and digests not in versions:
            versions[digests] = _version(len(versions) + 1, digests, named.get(digests, ""), at_hand.get(digests))
        number = versions[digests].number if digests in versions else 0
        chapters.append(
            Chapter(
                at_ms=record.ts,
                gateway=record.gateway,
                event=record.event.value,
                sentence=sentence_of(record),
                rules=record.determining_policy_ids,
                version=number,
                record=record,
            )
        )
    told = {}
    for chapter in chapters:
        bundle = at_hand.get(_digests(chapter.record))
        for rule_id in chapter.rules:
            if bundle is not None and rule_id in bundle.rules:
                told[rule_id, chapter.version] = rule_told(bundle.rules[rule_id])
    first = next((record for record in records if record.profile), records[0])
    return Story(
        session=first.session,
        org=first.org,
        project=first.project,
        profile=first.profile,
        chapters=tuple(chapters),
        versions=tuple(versions.values()),
        rules=tuple((rule_id, number, rule) for (rule_id, number), rule in sorted(told.items())),
    )


def sentence_of(record: DecisionRecord) -> str:
    """What happened, in words."""
    is_allowed = record.decision == Verdict.allow
    match record.event:
        case Event.admission:
            said = f"let in at {record.chosen}" if is_allowed else "refused at the door"
        case Event.placement | Event.failover | Event.drain:
            said = _placed(record, is_allowed=is_allowed)
        case Event.session_outside:
            said = f"not permitted in {record.from_region} any more"
        case _:
            said = f"{record.event.value.replace('_', ' ')}: {record.action.replace('_', ' ')}"
            said += f" in {record.chosen or record.from_region}" if record.chosen or record.from_region else ""
            said += "" if not record.decision else ", allowed" if is_allowed else ", denied"
    if record.detail:
        said += f" ({record.detail})"
    return f"{said}{_where(record)}."


def _placed(record: DecisionRecord, *, is_allowed: bool) -> str:
    machine = f", on a {record.context.capacity} machine" if record.context.capacity else ""
    why = _WHY_MOVED.get(record.trigger, "")
    if not is_allowed or not record.chosen:
        return f"nowhere to go on: {why}" if why else "no region may recognise it"
    if not record.from_region or not why:
        return f"recognised in {record.chosen}{machine}"
    if record.from_region == record.chosen:
        return f"went on in {record.chosen} on another engine{machine}, as {why}"
    return f"moved from {record.from_region} to {record.chosen}{machine}, as {why}"


def _where(record: DecisionRecord) -> str:
    if not record.candidate_regions:
        return "; policy permitted no region" if record.event in _OF_SETS else ""
    return f"; policy permitted {', '.join(record.candidate_regions)}"


_OF_SETS = (Event.admission, Event.placement, Event.failover, Event.drain, Event.session_outside)


def why_of(record: DecisionRecord) -> str:
    """The rules, or that there is none; for an allow of a list of regions, the list."""
    if record.determining_policy_ids:
        return ", ".join(record.determining_policy_ids)
    return ", ".join(record.errors) or ("" if record.decision == Verdict.allow else _NO_RULE)


def _digests(record: DecisionRecord) -> tuple[str, str, str]:
    return record.policy_digest, record.entities_digest, record.schema_digest


def _version(number: int, digests: tuple[str, str, str], named: str, bundle: Bundle | None) -> Version:
    name = named or ("" if bundle is None else f"{bundle.name} {bundle.version}")
    return Version(number, *digests, name, bundle is not None)
