"""One question to a bundle, and its answer."""

from __future__ import annotations

from dataclasses import dataclass

from policies.residency.vocabulary import Action, DataClass, LegalBasis, Trigger, Verdict
from policies.routing_facts import CapacityClass


@dataclass(frozen=True, slots=True)
class Situation:
    """What decisions about one session depend on beside the region. Two sessions in one situation may the same things.

    Attributes:
        profile: name of a residency profile; empty: none, and so nothing is permitted.
        project: `ORG/PROJECT` of a row of the bundle; empty: no row, the profile alone holds.
        subject_countries: ISO 3166-1 alpha-2 of everywhere that the speaker is said or seen to be; empty: not known.
    """

    profile: str
    project: str = ""
    data_class: DataClass = DataClass.personal
    subject_countries: frozenset[str] = frozenset()
    has_consent: bool = False
    legal_basis: LegalBasis = LegalBasis.unstated


@dataclass(frozen=True, slots=True)
class Question:
    """May this be done in this region?

    Attributes:
        capacity: of the engine, for `process` and `failover`; the others do not depend on it.
        is_draining: operators empty the region.
        has_break_glass: an emergency permission covers it: person, ticket and expiry are on record.
    """

    situation: Situation
    action: Action
    region: str
    capacity: CapacityClass = CapacityClass.reserved
    trigger: Trigger = Trigger.initial
    is_draining: bool = False
    has_break_glass: bool = False


@dataclass(frozen=True, slots=True)
class Decision:
    """`rules`: `@id` of those that determined it, sorted; none where no rule matched. `errors`: what went wrong on the
    way; any of them makes it a deny.
    """

    verdict: Verdict
    rules: tuple[str, ...] = ()
    errors: tuple[str, ...] = ()

    @property
    def is_allowed(self) -> bool:
        """The only thing that may be acted on. Cedar skips a forbid that fails: an allow with errors is none."""
        return self.verdict is Verdict.allow and not self.errors
