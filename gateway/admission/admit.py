"""Admission: a proven caller with what holds for him and a place among the sessions, or a typed refusal.

The order must stay: address, token (its proof, then revocations), policy set, plan, limits. The first refusal wins. An
engine's place comes after all of them, in the session.
"""

from __future__ import annotations

import time
import uuid
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol

from gateway.admission.places import NOBODY, Visitor
from gateway.errors import AuthenticationFailed, Reason, SessionRefused, Unavailable
from gateway.session.credit import QuotaUpdate
from policies.residency.situation import NOTHING_STATED

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from gateway.admission.addresses import AddressLimits, Visit
    from gateway.admission.edge_headers import HeaderLines
    from gateway.admission.geography import Geography
    from gateway.admission.places import Place
    from gateway.admission.policy_sets import PolicySet, PolicySets
    from gateway.admission.revocation_check import RevocationCheck
    from gateway.admission.settings import SessionLimitSettings
    from gateway.admission.tokens import TokenVerifier
    from gateway.limits.interface import LimitedSession, SessionLimits, SessionTab
    from policies.facts import Caller
    from policies.plans import CallerPlan
    from policies.residency.situation import Stated


def _monotonic_us() -> int:
    return time.monotonic_ns() // 1_000


class Plans(Protocol):
    """All plans in force, with their overrides."""

    def resolve(self, caller: Caller) -> CallerPlan | None:
        """What holds for this caller; None: his token names a plan that is not known. Does not wait."""


@dataclass(frozen=True, slots=True)
class Proven:
    """Who calls, from where as far as that is known, and what holds for him; he is not among the sessions yet."""

    caller: Caller
    policies: PolicySet
    plan: CallerPlan
    place: Place | None = None
    request: Stated = NOTHING_STATED
    decide_us: int = 0
    """How long policy took to decide."""


@dataclass(frozen=True, slots=True)
class Admitted:
    """Who is let in, what holds for him, and his tab; release it when the session ends, however it ends. `place`: where
    he is, as far as that is known; `request`: what his `start` said, once it has come.
    """

    caller: Caller
    policies: PolicySet
    plan: CallerPlan
    session_id: str
    tab: SessionTab
    tab_id: str
    place: Place | None = None
    request: Stated = NOTHING_STATED
    decide_us: int = 0

    def __enter__(self) -> Admitted:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.tab.release()


class DecisionsOnRecord(Protocol):
    """Who writes down what policy decided at the door. Nothing here waits or raises."""

    def refused(
        self, caller: Caller, request: Stated, policies: PolicySet | None, refusal: SessionRefused, decide_us: int
    ) -> None:
        """`policies`: None where he has no set at all."""

    def unrecordable(self, policies: PolicySet, plan: CallerPlan) -> SessionRefused | None:
        """Why he may not come in while nothing can be written down; None: he may."""


class _NothingOnRecord:
    def refused(
        self, caller: Caller, request: Stated, policies: PolicySet | None, refusal: SessionRefused, decide_us: int
    ) -> None:
        """Nobody asked."""

    def unrecordable(self, policies: PolicySet, plan: CallerPlan) -> SessionRefused | None:
        return None


@dataclass(frozen=True, slots=True)
class AdmissionSteps:
    """Who is asked, in this order; `geography` before all of them: without it, whoever is connected is the client."""

    addresses: AddressLimits
    verifier: TokenVerifier
    revocations: RevocationCheck
    policies: PolicySets
    plans: Plans
    limits: SessionLimits
    geography: Geography | None = None


class Admission:
    """The door. `now_s` gives Unix seconds."""

    def __init__(
        self, steps: AdmissionSteps, now_s: Callable[[], int], *, now_us: Callable[[], int] = _monotonic_us
    ) -> None:
        self._steps = steps
        self._now_s = now_s
        self._now_us = now_us
        self.on_record: DecisionsOnRecord = _NothingOnRecord()

    @property
    def policies(self) -> PolicySets:
        return self._steps.policies

    def visitor(self, peer: str, lines: HeaderLines) -> Visitor:
        """Who is behind a connection of this peer; `lines` gives what its headers say, by name."""
        geography = self._steps.geography
        return Visitor(peer) if geography is None else geography.visitor(peer, lines)

    def knock(self, address: str) -> Visit:
        """A connection came from this address; leave what is returned. Raises AddressRefused."""
        return self._steps.addresses.knock(address)

    def check_again(self, caller: Caller) -> None:
        """Whether what admitted him still holds when his session begins, which may be seconds later.

        Raises:
            AuthenticationFailed: `token_revoked`.
            Unavailable: `revocations_unavailable`.
        """
        self._steps.revocations.check(caller)

    async def admit(self, token: str | None, visitor: Visitor = NOBODY, request: Stated | None = None) -> Admitted:
        """Let one session in, whose connection was let in by `knock`. Raises what `prove` and `place` raise."""
        return await self.place(await self.prove(token, visitor, request), session_id=uuid.uuid4().hex)

    async def identify(
        self, token: str | None, place: Place | None = None, request: Stated = NOTHING_STATED
    ) -> tuple[Caller, PolicySet]:
        """Who a token proves, and what he may, wherever he came to.

        Raises:
            AuthenticationFailed: `token_missing`, or what is wrong with the token.
            SessionRefused: `residency_unknown_profile`, `residency_conflict`.
            Unavailable: one of `keys_unavailable`, `revocations_unavailable` and `residency_unavailable`.
        """
        caller = await self._caller_of(token)
        return caller, await self._policies_of(caller, request, place)

    async def _caller_of(self, token: str | None) -> Caller:
        if not token:
            raise AuthenticationFailed(
                Reason.token_missing, "send `Authorization: Bearer <token>`, or `token` in `start`"
            )
        caller = await self._steps.verifier.verify(token, now_s=self._now_s())
        self._steps.revocations.check(caller)
        return caller

    async def _decide(self, caller: Caller, request: Stated | None, place: Place | None) -> tuple[PolicySet, int]:
        """His set, if this gateway may go on with him, and how long that took; a refusal is on record.

        `request` None: his `start` is to come. Where that could say what lets him in, it is waited for.
        """
        began_us = self._now_us()
        policies: PolicySet | None = None
        stated = request or NOTHING_STATED
        try:
            policies = await self._policies_of(caller, stated, place)
            if request is not None or not await self._steps.policies.may_yet_permit(caller, place):
                self._check_here(policies, place)
        except SessionRefused as refusal:
            self.on_record.refused(caller, stated, policies, refusal, self._now_us() - began_us)
            raise
        return policies, self._now_us() - began_us

    def _check_recordable(self, policies: PolicySet, plan: CallerPlan) -> None:
        refusal = self.on_record.unrecordable(policies, plan)
        if refusal is not None:
            raise refusal

    async def _policies_of(self, caller: Caller, request: Stated, place: Place | None) -> PolicySet:
        sets = self._steps.policies
        await sets.prepare(caller, request, place)
        policies = sets.permitted(caller, request, place)
        if isinstance(policies, SessionRefused):
            raise policies
        return policies

    def _check_here(self, policies: PolicySet, place: Place | None) -> None:
        refusal = self._steps.policies.refusal_here(policies, place)
        if refusal is not None:
            self._steps.policies.note_refused(policies)
            raise refusal

    def decide_at_last(self, admitted: Admitted) -> Admitted:
        """When his session begins: policy may be another one than when he was admitted. Does not wait.

        Raises:
            SessionRefused: as `decide_again` does.
        """
        caller, began_us = admitted.caller, self._now_us()
        policies = self._steps.policies.permitted(caller, admitted.request, admitted.place)
        known = None if isinstance(policies, SessionRefused) else policies
        try:
            if isinstance(policies, SessionRefused):
                raise policies
            self._check_here(policies, admitted.place)
        except SessionRefused as refusal:
            self.on_record.refused(caller, admitted.request, known, refusal, self._now_us() - began_us)
            raise
        return replace(admitted, policies=policies)

    async def decide_again(self, admitted: Admitted, request: Stated) -> Admitted:
        """With what his `start` says, before the first audio byte: it may make policy stricter.

        Raises:
            SessionRefused: what `prove` raises about policy; the tab is still the caller's then.
        """
        policies, decide_us = await self._decide(admitted.caller, request, admitted.place)
        self._check_recordable(policies, admitted.plan)
        return replace(admitted, policies=policies, request=request, decide_us=admitted.decide_us + decide_us)

    async def prove(self, token: str | None, visitor: Visitor = NOBODY, request: Stated | None = None) -> Proven:
        """All that is asked before the limits. `request` None: his `start` is to come; `decide_again` must follow.

        Raises:
            AuthenticationFailed, Unavailable: as `identify` does.
            SessionRefused: as `identify` does, and `wrong_region`, `residency_denied`, `draining`, `unknown_plan`,
                `decision_log_unwritable`.
        """
        steps = self._steps
        caller = await self._caller_of(token)
        policies, decide_us = await self._decide(caller, request, visitor.place)
        emptied = steps.policies.emptied_here(policies, visitor.place)
        if emptied is not None:
            raise emptied
        plan = steps.plans.resolve(caller)
        if plan is None:
            named = (
                f"the plan `{caller.plan}`, which is not known" if caller.plan else "no plan, and none is the default"
            )
            raise SessionRefused(Reason.unknown_plan, f"the token names {named}")
        self._check_recordable(policies, plan)
        return Proven(caller, policies, plan, visitor.place, request or NOTHING_STATED, decide_us)

    async def place(self, proven: Proven, *, session_id: str, tab_id: str = "") -> Admitted:
        """Take the session's place. `tab_id`: how the limiter knows it, where that is not its own name.

        Raises:
            QuotaRefused: a limit of the plan.
            Unavailable: `too_many_sessions` or `limiter_unavailable`.
        """
        tab_id = tab_id or session_id
        tab = await self._steps.limits.acquire(proven.plan, session_id=tab_id)
        return Admitted(
            proven.caller,
            proven.policies,
            proven.plan,
            session_id,
            tab,
            tab_id,
            proven.place,
            proven.request,
            proven.decide_us,
        )

    async def close_left(self, org: str, tab_id: str) -> None:
        """See gateway.limits.interface.SessionLimits."""
        await self._steps.limits.close_left(org, tab_id)


class LocalSessionLimits:
    """Counts the sessions of this process: all together, and for each tenant.

    `beyond`: asked for each session that has a place here; without it, compute is not limited.
    """

    def __init__(self, settings: SessionLimitSettings, beyond: SessionLimits | None = None) -> None:
        self._settings = settings
        self._beyond = beyond
        self._num_sessions = 0
        self._num_sessions_of: dict[str, int] = {}

    @property
    def num_sessions(self) -> int:
        return self._num_sessions

    def num_sessions_of(self, tenant: str) -> int:
        return self._num_sessions_of.get(tenant, 0)

    async def acquire(self, plan: CallerPlan, *, session_id: str) -> SessionTab:
        tenant = plan.principal.org
        if self._num_sessions >= self._settings.max_sessions:
            raise self._full("this gateway holds as many sessions as it may")
        of_tenant = self.num_sessions_of(tenant)
        if of_tenant >= self._settings.max_sessions_per_tenant:
            raise self._full(f"your tenant holds {of_tenant} sessions here, as many as it may")
        self._num_sessions += 1
        self._num_sessions_of[tenant] = of_tenant + 1
        beyond: SessionTab | None = None
        try:
            if self._beyond is not None:
                beyond = await self._beyond.acquire(plan, session_id=session_id)
        except BaseException:
            self._release(tenant)
            raise
        return _LocalTab(lambda: self._release(tenant), beyond)

    async def close_left(self, org: str, tab_id: str) -> None:
        if self._beyond is not None:
            await self._beyond.close_left(org, tab_id)

    def _full(self, detail: str) -> Unavailable:
        return Unavailable(Reason.too_many_sessions, detail, retry_after_ms=self._settings.retry_after_ms)

    def _release(self, tenant: str) -> None:
        self._num_sessions -= 1
        self._num_sessions_of[tenant] -= 1
        if self._num_sessions_of[tenant] == 0:
            del self._num_sessions_of[tenant]


class _LocalTab:
    """A place in this process, and the tab of whoever was asked beyond."""

    def __init__(self, give_back: Callable[[], None], beyond: SessionTab | None) -> None:
        self._give_back: Callable[[], None] | None = give_back
        self._beyond = beyond

    @property
    def opening(self) -> QuotaUpdate:
        return QuotaUpdate(granted_us=None) if self._beyond is None else self._beyond.opening

    def attach(self, session: LimitedSession, *, add_ons: tuple[str, ...]) -> None:
        if self._beyond is not None:
            self._beyond.attach(session, add_ons=add_ons)

    def release(self) -> None:
        give_back, self._give_back = self._give_back, None
        if give_back is None:
            return
        give_back()
        if self._beyond is not None:
            self._beyond.release()
