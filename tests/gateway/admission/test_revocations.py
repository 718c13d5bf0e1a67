"""What a revocation covers, and until when."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.admission.claims import hash_of
from gateway.admission.revocations import (
    Revocation,
    Revocations,
    Scope,
    Undone,
    jti_scope,
    subject_scope,
    tenant_scope,
)
from policies.facts import Caller, TokenIdentity

pytestmark = pytest.mark.unit

NOW_S = 1_000_000
CALLER = Caller("acme", "", "service-7", "", frozenset(), "", 0, TokenIdentity("i", hash_of("token-7"), NOW_S))


def revocation(
    scope: Scope, *, name: str = "r", issued_before_s: int = NOW_S, until_s: int = NOW_S + 100
) -> Revocation:
    return Revocation(name, scope, issued_before_s, until_s, NOW_S)


def known(*news: Revocation | Undone) -> Revocations:
    revocations = Revocations()
    for one in news:
        revocations.take(one, now_s=NOW_S)
    return revocations


@pytest.mark.parametrize("scope", [jti_scope("token-7"), subject_scope("acme", "service-7"), tenant_scope("acme")])
def test_a_token_is_revoked_by_its_name_its_subject_or_its_tenant(scope: Scope) -> None:
    assert known(revocation(scope)).is_revoked(CALLER)


@pytest.mark.parametrize(
    "scope",
    [jti_scope("token-8"), subject_scope("acme", "service-8"), subject_scope("b", "service-7"), tenant_scope("b")],
)
def test_others_are_not(scope: Scope) -> None:
    assert not known(revocation(scope)).is_revoked(CALLER)


def test_tokens_that_are_issued_later_are_good_again() -> None:
    revocations = known(revocation(tenant_scope("acme"), issued_before_s=NOW_S))
    later = replace(CALLER, token=replace(CALLER.token, issued_at_s=NOW_S + 1))
    assert revocations.is_revoked(CALLER)
    assert not revocations.is_revoked(later)


def test_a_token_without_a_name_or_a_subject_is_not_revoked_by_the_empty_one() -> None:
    nameless = replace(CALLER, subject="", token=TokenIdentity("i", "", NOW_S))
    assert not known(revocation(jti_scope("")), revocation(subject_scope("acme", ""), name="s")).is_revoked(nameless)


def test_what_is_undone_does_not_hold_also_if_the_news_comes_again_or_the_wrong_way_round() -> None:
    one, undone = revocation(tenant_scope("acme")), Undone("r", NOW_S + 100)
    for order in ([one, undone], [undone, one], [one, undone, one], [one, one, undone]):
        assert not known(*order).is_revoked(CALLER)


def test_undoing_one_leaves_the_others() -> None:
    scope = tenant_scope("acme")
    revocations = known(revocation(scope, name="a"), revocation(scope, name="b"), Undone("a", NOW_S + 100))
    assert revocations.is_revoked(CALLER)
    assert [left.id for left in revocations] == ["b"]


def test_a_revocation_is_forgotten_at_its_end() -> None:
    revocations = known(revocation(tenant_scope("acme"), until_s=NOW_S + 5))
    revocations.expire(NOW_S + 4)
    assert revocations.is_revoked(CALLER)
    revocations.expire(NOW_S + 5)
    assert not revocations.is_revoked(CALLER)
    assert (len(revocations), revocations._by_scope, revocations._ends) == (0, {}, [])


def test_what_is_over_already_is_not_taken() -> None:
    assert not Revocations().take(revocation(tenant_scope("acme"), until_s=NOW_S), now_s=NOW_S)


@given(
    st.lists(
        st.tuples(st.booleans(), st.sampled_from("abc"), st.sampled_from(["x", "y"]), st.integers(1, 5)), max_size=30
    )
)
def test_what_is_in_force_is_what_was_made_and_neither_undone_nor_over(
    steps: list[tuple[bool, str, str, int]],
) -> None:
    """Each step makes or undoes one of three, and a second passes."""
    revocations = Revocations()
    made: dict[str, Revocation] = {}
    undone: dict[str, int] = {}
    now_s = NOW_S
    for makes, name, tenant, for_s in steps:
        if makes:
            news = revocation(tenant_scope(tenant), name=name, until_s=now_s + for_s)
            if name not in made and name not in undone:
                made[name] = news
            revocations.take(news, now_s=now_s)
        else:
            undone.setdefault(name, now_s + for_s)
            made.pop(name, None)
            revocations.take(Undone(name, now_s + for_s), now_s=now_s)
        now_s += 1
        revocations.expire(now_s)
        made = {key: one for key, one in made.items() if one.until_s > now_s}
        undone = {key: until_s for key, until_s in undone.items() if until_s > now_s}
        assert {one.id: one for one in revocations} == made
        for which in ("x", "y"):
            caller = replace(CALLER, tenant=which)
            assert revocations.is_revoked(caller) == any(one.scope[1] == which for one in made.values())
