"""An explanation of one decision, and a session's story, as documents and as JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from gateway.cli.policy.document import Document, Heading, Paragraph, Table, Verbatim
from gateway.cli.policy.words import (
    NO_RULE,
    bundle_json,
    bundle_words,
    decision_json,
    decision_words,
    periods_words,
    question_json,
    question_words,
)
from policies.residency.bundles.instants import text_of
from policies.residency.review.session_story import why_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from policies.residency.bundles.bundle import Bundle
    from policies.residency.review.explain import Explanation, RuleTold
    from policies.residency.review.session_story import Story, Version

_Blocks = Heading | Paragraph | Table | Verbatim


def explanation_document(bundle: Bundle, found: Explanation) -> Document:
    verdict = "ALLOWED" if found.decision.is_allowed else "DENIED"
    return Document(
        f"{verdict}: {question_words(found.question)}",
        (
            Paragraph(f"{bundle_words(bundle)}; the answer holds {periods_words([(found.from_s, found.until_s)])}"),
            Paragraph(_because(found)),
            *_rules_blocks("Decided by", found.deciding),
            *_near_blocks(found),
            Heading("It rests on"),
            Table(
                ("about", "what", "because", "in force"),
                tuple((fact.about, fact.said, fact.basis, fact.dates) for fact in found.facts),
            ),
        ),
    )


def _because(found: Explanation) -> str:
    """In a sentence or two."""
    decision = found.decision
    if decision.errors:
        return f"Denied, because it cannot be decided: {'; '.join(decision.errors)}."
    if decision.is_allowed:
        return f"Allowed by {', '.join(decision.rules)}; no rule forbids it."
    if not decision.rules:
        return f"Denied, because {NO_RULE}. What no rule permits is denied."
    lifted = found.without
    if lifted is not None and lifted.is_allowed:
        after = f"Without it, {decision_words(lifted)}."
    elif lifted is not None and lifted.rules:
        after = f"Without it, still {decision_words(lifted)}."
    else:
        after = "No rule permits it either."
    return f"Denied by {', '.join(decision.rules)}: a rule that forbids wins over every permit. {after}"


def _rules_blocks(title: str, rules: tuple[RuleTold, ...]) -> Iterator[_Blocks]:
    if not rules:
        return
    yield Heading(title)
    for rule in rules:
        yield Paragraph(f"{rule.id}: {rule.words}")
        yield Table(("", ""), _rule_rows(rule))
        yield Verbatim(_without_annotations(rule.text))


def _rule_rows(rule: RuleTold) -> tuple[tuple[str, str], ...]:
    return (
        ("basis", rule.basis),
        ("owner", rule.owner),
        ("ticket", rule.ticket),
        ("to be reviewed by", rule.review_by),
        ("kind", rule.kind),
        ("stands in", f"{rule.file} line {rule.line}"),
    )


def _without_annotations(text: str) -> str:
    """The rule itself, from its effect on."""
    lines = text.splitlines()
    begins = next((number for number, line in enumerate(lines) if line.lstrip().startswith(("permit", "forbid"))), 0)
    return "\n".join(lines[begins:])


def _near_blocks(found: Explanation) -> Iterator[_Blocks]:
    if not found.near:
        return
    yield Heading("Permits that came nearest, and what does not hold")
    yield Table(
        ("rule", "does not hold", "what it says", "basis"),
        tuple((near.rule.id, "\n".join(near.missing), near.rule.words, near.rule.basis) for near in found.near),
    )


def explanation_json(bundle: Bundle, found: Explanation) -> dict[str, Any]:
    return {
        "bundle": bundle_json(bundle),
        "question": question_json(found.question),
        "decision": decision_json(found.decision),
        "holds_s": [found.from_s, found.until_s],
        "because": _because(found),
        "deciding": [_rule_json(rule) for rule in found.deciding],
        "without": None if found.without is None else decision_json(found.without),
        "near": [{"rule": _rule_json(near.rule), "missing": list(near.missing)} for near in found.near],
        "facts": [
            {"about": fact.about, "said": fact.said, "basis": fact.basis, "dates": fact.dates} for fact in found.facts
        ],
    }


def _rule_json(rule: RuleTold) -> dict[str, Any]:
    return {
        "id": rule.id,
        "words": rule.words,
        "owner": rule.owner,
        "basis": rule.basis,
        "ticket": rule.ticket,
        "review_by": rule.review_by,
        "kind": rule.kind,
        "file": rule.file,
        "line": rule.line,
        "text": rule.text,
    }


# --- a session's story ------------------------------------------------------------------------------------------


def story_document(story: Story) -> Document:
    caller = "/".join(part for part in (story.org, story.project) if part) or "nobody known"
    first = story.chapters[0].record
    said = [f"{caller}, profile {story.profile or 'none'}"]
    if first.context.data_class:
        said.append(f"{first.context.data_class} data")
        said.append(f"speaker in {first.context.subject or 'a country that is not known'}")
    return Document(
        f"Session {story.session}",
        (
            Paragraph(", ".join(said)),
            Heading("What happened"),
            Table(
                ("when", "gateway", "what", "why", "version"),
                tuple(
                    (
                        _instant(chapter.at_ms),
                        chapter.gateway,
                        chapter.sentence,
                        why_of(chapter.record),
                        str(chapter.version or ""),
                    )
                    for chapter in story.chapters
                ),
            ),
            Heading("Versions that decided"),
            Table(
                ("version", "bundle", "rules", "rows", "schema"),
                tuple(
                    (
                        str(version.number),
                        _version_words(version),
                        version.policy_digest,
                        version.entities_digest,
                        version.schema_digest,
                    )
                    for version in story.versions
                ),
            ),
            *_story_rules(story),
        ),
    )


def _version_words(version: Version) -> str:
    name = version.name or "not named in this log"
    return name if version.is_at_hand else f"{name}; give its folder as --bundle for its rules"


def _story_rules(story: Story) -> Iterator[_Blocks]:
    for rule_id, number, rule in story.rules:
        yield from _rules_blocks(f"{rule_id}, in version {number}", (rule,))


def _instant(at_ms: int) -> str:
    return text_of(at_ms // 1_000).removesuffix("Z") + f".{at_ms % 1_000:03}Z"


def story_json(story: Story) -> dict[str, Any]:
    return {
        "session": story.session,
        "org": story.org,
        "project": story.project,
        "profile": story.profile,
        "story": [
            {
                "ts": chapter.at_ms,
                "gateway": chapter.gateway,
                "event": chapter.event,
                "said": chapter.sentence,
                "rules": list(chapter.rules),
                "decision": chapter.record.decision,
                "from_region": chapter.record.from_region,
                "chosen": chapter.record.chosen,
                "candidate_regions": list(chapter.record.candidate_regions),
                "version": chapter.version,
            }
            for chapter in story.chapters
        ],
        "versions": [
            {
                "version": version.number,
                "bundle": version.name,
                "policy_digest": version.policy_digest,
                "entities_digest": version.entities_digest,
                "schema_digest": version.schema_digest,
            }
            for version in story.versions
        ],
        "rules": [_rule_json(rule) | {"version": number} for _, number, rule in story.rules],
    }
