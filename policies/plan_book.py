"""The book of plans: which plan a caller has, and what org, project and key change of it. Pure.

These must stay true:
  - Of places that say the same, the narrowest wins: key, then project, then org, then plan.
  - The plan is that of the org's binding, whatever the token says; else that of the token; else the default.
  - Limits that several callers share are changed only by a place that all of them share.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeVar

from policies.plan_terms import Place, Said, SaidLimits, Terms, narrowest, said_limits
from policies.plans import CallerPlan, Level, Principal, Rater, Tier, WhenExhausted, WhenLimiterAway, WhenLogUnwritable

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Mapping, Sequence

    from policies.facts import Caller

T = TypeVar("T")

KEY_PSEUDONYM_CHARS = 16
DEFAULT_MAX_SESSION_MS = 14_400_000
NOT_SAID: Place = ("default",)
"""The place of a value that no place of the file says."""
TOKEN_CLAIM: Place = ("token", "plan")
_NOTHING_SAID = SaidLimits()


def key_pseudonym(subject: str) -> str:
    """What stands for a token's subject in Redis, in logs and on bills: 16 hexadecimal digits; empty for none."""
    return hashlib.sha256(subject.encode()).hexdigest()[:KEY_PSEUDONYM_CHARS] if subject else ""


@dataclass(frozen=True, slots=True)
class UnknownPlan:
    """No plan holds for the caller. `name`: what the token says, empty if it names none."""

    name: str


@dataclass(frozen=True, slots=True)
class OrgTerms:
    """What the file says of one org. `plan`: the one it is bound to. `keys`: by pseudonym."""

    terms: Terms
    plan: str | None = None
    projects: Mapping[str, Terms] = field(default_factory=dict)
    keys: Mapping[str, Terms] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class SaidPlan:
    """What holds for one caller, each value with the place that says it."""

    name: Said[str]
    key: SaidLimits
    project: SaidLimits
    org: SaidLimits
    max_session_ms: Said[int]
    when_exhausted: Said[WhenExhausted]
    when_limiter_away: Said[WhenLimiterAway]
    rater: Said[Rater]
    tier: Said[Tier]
    when_log_unwritable: Said[WhenLogUnwritable]

    def of(self, level: Level) -> SaidLimits:
        match level:
            case Level.key:
                return self.key
            case Level.project:
                return self.project
            case Level.org:
                return self.org


@dataclass(frozen=True, slots=True)
class PlanBook:
    """One state of a plans file.

    `default_plan`: of tokens that name none. `fallback_plan`: of tokens that name one that is not here; None: refused.
    """

    plans: Mapping[str, Terms]
    rating_version: str
    default_plan: str | None = None
    fallback_plan: str | None = None
    orgs: Mapping[str, OrgTerms] = field(default_factory=dict)

    def resolve(self, caller: Caller) -> CallerPlan | UnknownPlan:
        """What holds for a caller: its org is the token's tenant."""
        said = self.explain(caller)
        return said if isinstance(said, UnknownPlan) else self._plan(_principal(caller), said)

    def explain(self, caller: Caller) -> SaidPlan | UnknownPlan:
        """The same with the place of each value. A project or key that the token does not name has no limits."""
        claimed = Said(caller.plan, TOKEN_CLAIM) if caller.plan else Said(self.default_plan or "", ("default_plan",))
        said = self._said(_principal(caller), claimed)
        return UnknownPlan(caller.plan) if said is None else said

    def resolve_again(self, plan: CallerPlan) -> CallerPlan | UnknownPlan:
        """What holds by now for who was admitted with a plan of an earlier book: the plan of the same name, or that
        which the org is bound to.
        """
        said = self._said(plan.principal, Said(plan.name, TOKEN_CLAIM))
        return UnknownPlan(plan.name) if said is None else self._plan(plan.principal, said)

    def _said(self, who: Principal, claimed: Said[str]) -> SaidPlan | None:
        org = self.orgs.get(who.org)
        if org is not None and org.plan is not None:
            name = Said(org.plan, ("orgs", who.org))
        elif claimed.value and claimed.value not in self.plans:
            name = Said(self.fallback_plan or "", ("fallback_plan",))
        else:
            name = claimed
        plan = self.plans.get(name.value)
        if plan is None:
            return None
        named = ((Level.key, who.key), (Level.project, who.project), (Level.org, who.org))
        return combine(name, _chain(org, who, plan), levels=[level for level, part in named if part])

    def _plan(self, who: Principal, said: SaidPlan) -> CallerPlan:
        return CallerPlan(
            name=said.name.value,
            principal=who,
            key=said.key.limits(),
            project=said.project.limits(),
            org=said.org.limits(),
            max_session_ms=said.max_session_ms.value,
            when_exhausted=said.when_exhausted.value,
            when_limiter_away=said.when_limiter_away.value,
            rater=said.rater.value,
            rating_version=self.rating_version,
            tier=said.tier.value,
            when_log_unwritable=said.when_log_unwritable.value,
        )


def _chain(org: OrgTerms | None, who: Principal, plan: Terms) -> Sequence[Terms]:
    """The places that say something of this caller, narrowest first."""
    if org is None:
        return (plan,)
    places = (org.keys.get(who.key), org.projects.get(who.project), org.terms, plan)
    return [terms for terms in places if terms is not None]


def combine(name: Said[str], chain: Sequence[Terms], *, levels: Container[Level] = frozenset(Level)) -> SaidPlan:
    """What a chain of places, narrowest first, says together; of levels that are left out, nothing."""
    key, project, org = (said_limits(chain, level) if level in levels else _NOTHING_SAID for level in Level)
    return SaidPlan(
        name=name,
        key=key,
        project=project,
        org=org,
        max_session_ms=_scalar(chain, lambda terms: terms.max_session_ms, DEFAULT_MAX_SESSION_MS),
        when_exhausted=_scalar(chain, lambda terms: terms.when_exhausted, WhenExhausted.throttle),
        when_limiter_away=_scalar(chain, lambda terms: terms.when_limiter_away, WhenLimiterAway.safe),
        rater=_scalar(chain, lambda terms: terms.rater, Rater.audio_second),
        tier=_scalar(chain, lambda terms: terms.tier, Tier.standard),
        when_log_unwritable=_scalar(chain, lambda terms: terms.when_log_unwritable, WhenLogUnwritable.admit),
    )


def _principal(caller: Caller) -> Principal:
    return Principal(org=caller.tenant, project=caller.project, key=key_pseudonym(caller.subject))


def _scalar(chain: Sequence[Terms], read: Callable[[Terms], T | None], default: T) -> Said[T]:
    return narrowest((terms.place, read(terms)) for terms in chain) or Said(default, NOT_SAID)
