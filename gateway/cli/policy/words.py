"""How questions, periods and decisions are said in reports about policies."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from policies.residency.bundles.instants import FAR_S, text_of
from policies.residency.review.question_space import DIMENSIONS, OF_ENGINES, UNKNOWN
from policies.residency.vocabulary import LegalBasis, Trigger
from policies.routing_facts import CapacityClass

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from policies.residency.bundles.bundle import Bundle
    from policies.residency.decision import Decision, Question
    from policies.residency.review.diff import Period

_MIDNIGHT = "T00:00:00Z"
NO_RULE = "no rule permits it"


def bundle_words(bundle: Bundle) -> str:
    return f"{bundle.name} {bundle.version} ({bundle.digest[:12]})"


def date(at_s: int) -> str:
    """A day where it begins with one."""
    return "for good" if at_s >= FAR_S else text_of(at_s).removesuffix(_MIDNIGHT)


def periods_words(periods: Iterable[Period]) -> str:
    return "; ".join(
        f"from {date(begins_s)}" if ends_s >= FAR_S else f"{date(begins_s)} to {date(ends_s)}"
        for begins_s, ends_s in periods
    )


def decision_words(decision: Decision) -> str:
    """`allowed (P02)`, `denied (F08)`, `denied (no rule permits it)`."""
    verdict = "allowed" if decision.is_allowed else "denied"
    reasons = [*decision.rules, *decision.errors]
    return f"{verdict} ({', '.join(reasons) or NO_RULE})"


def question_words(question: Question) -> str:
    """A sentence about one question; what is usual in it is left out."""
    situation = question.situation
    caller = situation.project or f"a caller of {situation.profile or 'no profile'}"
    speaker = " and ".join(sorted(situation.subject_countries)) or "a country that is not known"
    parts = [f"{caller}: {question.action} in {question.region}", f"{situation.data_class} data"]
    parts.append(f"speaker in {speaker}")
    if question.action in OF_ENGINES:
        parts.append(f"{question.capacity} machine" if question.capacity is CapacityClass.reserved else "spot machine")
    if situation.has_consent:
        parts.append("with consent")
    if situation.legal_basis is not LegalBasis.unstated:
        parts.append(f"legal basis {situation.legal_basis}")
    if question.trigger is not Trigger.initial:
        parts.append(f"because of {question.trigger}")
    if question.is_draining:
        parts.append("the region is being emptied")
    if question.has_break_glass:
        parts.append("with an emergency permission")
    return ", ".join(parts)


def values_words(values: Mapping[str, frozenset[str]], every: Mapping[str, frozenset[str]]) -> str:
    """Those dimensions that make a difference; `all but` where that is shorter."""
    told = []
    for name in DIMENSIONS:
        kept, all_of_them = values[name], every[name]
        if kept >= all_of_them:
            continue
        left_out = all_of_them - kept
        shown = f"all but {_list(left_out)}" if len(left_out) < len(kept) else _list(kept)
        told.append(f"{name}: {shown}")
    return "; ".join(told)


def _list(values: Iterable[str]) -> str:
    return ", ".join(sorted(values, key=lambda value: (value == UNKNOWN, value)))


def question_json(question: Question) -> dict[str, Any]:
    situation = question.situation
    return {
        "profile": situation.profile,
        "project": situation.project,
        "action": question.action,
        "region": question.region,
        "data_class": situation.data_class,
        "subject_countries": sorted(situation.subject_countries),
        "has_consent": situation.has_consent,
        "legal_basis": situation.legal_basis,
        "capacity": question.capacity,
        "trigger": question.trigger,
        "is_draining": question.is_draining,
        "has_break_glass": question.has_break_glass,
    }


def decision_json(decision: Decision) -> dict[str, Any]:
    return {
        "allowed": decision.is_allowed,
        "verdict": decision.verdict,
        "rules": list(decision.rules),
        "errors": list(decision.errors),
    }


def bundle_json(bundle: Bundle) -> dict[str, Any]:
    return {
        "name": bundle.name,
        "version": bundle.version,
        "digest": bundle.digest,
        "expires_at": text_of(bundle.expires_at_s),
    }
