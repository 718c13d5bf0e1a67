"""The door: a proven caller gets a place, and the place comes back exactly once."""

from __future__ import annotations

import contextlib
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry

from gateway.admission.addresses import AddressLimits
from gateway.admission.admit import Admission, AdmissionSteps, LocalSessionLimits
from gateway.admission.jwks import FixedKeys
from gateway.admission.keys import key_set_of
from gateway.admission.metrics import AdmissionMetrics
from gateway.admission.revocation_check import NothingRevoked
from gateway.admission.settings import AddressSettings, SessionLimitSettings
from gateway.admission.tokens import TokenVerifier
from gateway.errors import AuthenticationFailed, Reason, Unavailable
from gateway.limits.interface import LimitedSession
from gateway.session.credit import QuotaUpdate
from policies.facts import Caller
from policies.plans import CallerPlan
from tests.fakes.plans import UnlimitedPlans
from tests.harness.this_region_only import ThisRegionOnly

pytestmark = pytest.mark.unit


def _limits(max_sessions: int = 3, of_tenant: int = 2) -> LocalSessionLimits:
    return LocalSessionLimits(
        SessionLimitSettings(max_sessions=max_sessions, max_sessions_per_tenant=of_tenant, retry_after_ms=1_500)
    )


def _plan(tenant: str) -> CallerPlan:
    return UnlimitedPlans().resolve(Caller(tenant, "", "", "", frozenset(), "", 0))


@pytest.fixture
def admission(signers: dict[str, Any], kit: Any) -> Admission:
    signer = signers["ES256"]
    keys = FixedKeys(key_set_of([signer.jwk], algorithms=["ES256"]))
    verifier = TokenVerifier(kit.settings([signer]), {kit.issuer: keys})
    limits = _limits(max_sessions=1, of_tenant=1)
    addresses = AddressLimits(AddressSettings(), AdmissionMetrics(CollectorRegistry()), lambda: 0)
    policies = ThisRegionOnly("here")
    steps = AdmissionSteps(addresses, verifier, NothingRevoked(), policies, UnlimitedPlans(), limits)
    return Admission(steps, lambda: kit.now_s)


async def test_a_proven_caller_gets_a_place(admission: Admission, signers: dict[str, Any], kit: Any) -> None:
    admitted = await admission.admit(signers["ES256"].sign(kit.claims()))
    assert admitted.caller.tenant == "acme"


async def test_a_place_comes_back_when_its_session_ends_however_it_ends(
    admission: Admission, signers: dict[str, Any], kit: Any
) -> None:
    token = signers["ES256"].sign(kit.claims())
    with pytest.raises(ZeroDivisionError), await admission.admit(token):
        raise ZeroDivisionError
    with await admission.admit(token), pytest.raises(Unavailable):
        await admission.admit(token)


@pytest.mark.parametrize("token", [None, ""])
async def test_nobody_gets_in_without_a_token(admission: Admission, token: str | None) -> None:
    with pytest.raises(AuthenticationFailed) as refusal:
        await admission.admit(token)
    assert refusal.value.reason is Reason.token_missing


async def test_a_bad_token_takes_no_place(admission: Admission, signers: dict[str, Any], kit: Any) -> None:
    for _ in range(3):
        with pytest.raises(AuthenticationFailed):
            await admission.admit("a.b.c")
    await admission.admit(signers["ES256"].sign(kit.claims()))


async def test_a_session_that_goes_on_keeps_its_name_and_gets_another_tab(
    admission: Admission, signers: dict[str, Any], kit: Any
) -> None:
    proven = await admission.prove(signers["ES256"].sign(kit.claims()))
    with await admission.place(proven, session_id="s", tab_id="s.2") as admitted:
        assert (admitted.caller, admitted.session_id, admitted.tab_id) == (proven.caller, "s", "s.2")
    with await admission.place(proven, session_id="s") as admitted:
        assert admitted.tab_id == "s"


async def test_one_tenant_cannot_take_every_place() -> None:
    limits = _limits(max_sessions=3, of_tenant=2)
    for _ in range(2):
        await limits.acquire(_plan("greedy"), session_id="s")
    with pytest.raises(Unavailable) as refusal:
        await limits.acquire(_plan("greedy"), session_id="s")
    assert (refusal.value.reason, refusal.value.retry_after_ms) == (Reason.too_many_sessions, 1_500)
    assert "your tenant holds 2" in refusal.value.detail
    await limits.acquire(_plan("other"), session_id="s")


async def test_the_gateway_holds_no_more_sessions_than_it_may() -> None:
    limits = _limits(max_sessions=2, of_tenant=2)
    first = await limits.acquire(_plan("a"), session_id="s")
    await limits.acquire(_plan("b"), session_id="s")
    with pytest.raises(Unavailable) as refusal:
        await limits.acquire(_plan("c"), session_id="s")
    assert (refusal.value.reason, refusal.value.retry_after_ms) == (Reason.too_many_sessions, 1_500)
    first.release()
    await limits.acquire(_plan("c"), session_id="s")


@settings(deadline=None)
@given(st.lists(st.tuples(st.sampled_from("abc"), st.booleans(), st.integers(0, 9)), max_size=40))
async def test_places_taken_and_places_held_always_agree(steps: list[tuple[str, bool, int]]) -> None:
    """Each step opens a session of a tenant, or ends one of those opened before, maybe for the second time."""
    limits = _limits(max_sessions=5, of_tenant=3)
    opened: list[tuple[str, Any]] = []
    ended: set[int] = set()
    for tenant, opens, which in steps:
        if opens:
            with contextlib.suppress(Unavailable):
                opened.append((tenant, await limits.acquire(_plan(tenant), session_id="s")))
        elif which < len(opened):
            opened[which][1].release()
            ended.add(which)
        held = [name for number, (name, _) in enumerate(opened) if number not in ended]
        assert limits.num_sessions == len(held) <= 5
        assert all(limits.num_sessions_of(name) == held.count(name) <= 3 for name in "abc")


class _Beyond:
    """Limits that refuse whoever comes, or give tabs that remember what they were told."""

    def __init__(self, refusal: Exception | None = None) -> None:
        self.refusal = refusal
        self.told: list[str] = []

    async def acquire(self, plan: CallerPlan, *, session_id: str) -> _Beyond:
        if self.refusal is not None:
            raise self.refusal
        return self

    @property
    def opening(self) -> QuotaUpdate:
        return QuotaUpdate(7)

    def attach(self, session: LimitedSession, *, add_ons: tuple[str, ...]) -> None:
        self.told.append(f"attached {add_ons}")

    def release(self) -> None:
        self.told.append("released")


async def test_who_is_refused_beyond_this_process_takes_no_place_in_it() -> None:
    settings = SessionLimitSettings(max_sessions=1, max_sessions_per_tenant=1)
    limits = LocalSessionLimits(settings, _Beyond(Unavailable(Reason.limiter_unavailable)))
    for _ in range(2):
        with pytest.raises(Unavailable) as refusal:
            await limits.acquire(_plan("a"), session_id="s")
        assert refusal.value.reason is Reason.limiter_unavailable
    assert limits.num_sessions == 0


async def test_a_session_has_the_credit_of_whoever_was_asked_beyond_and_comes_back_to_him_once() -> None:
    beyond = _Beyond()
    limits = LocalSessionLimits(SessionLimitSettings(max_sessions=1, max_sessions_per_tenant=1), beyond)
    tab = await limits.acquire(_plan("a"), session_id="s")
    assert tab.opening == QuotaUpdate(7)
    tab.attach(None, add_ons=("text",))  # type: ignore[arg-type]
    tab.release()
    tab.release()
    assert beyond.told == ["attached ('text',)", "released"]
