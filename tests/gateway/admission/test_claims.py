"""From proven claims to a caller, at the second."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.admission.claims import caller_of, starts_at_s
from gateway.admission.settings import TokenSettings
from gateway.errors import AuthenticationFailed, Reason
from policies.facts import Caller, TokenIdentity

pytestmark = pytest.mark.unit

LEEWAY_S = 30


def _settings(**changes: Any) -> TokenSettings:
    issuer = {"issuer": "i", "audience": "a", "jwks_file": "unused"}
    return TokenSettings.model_validate({"issuers": [issuer], "leeway_s": LEEWAY_S, **changes})


def _reason(claims: dict[str, Any], now_s: int, **changes: Any) -> Reason | None:
    try:
        caller_of(claims, settings=_settings(**changes), now_s=now_s)
    except AuthenticationFailed as refusal:
        return refusal.reason
    return None


def test_a_caller_is_what_the_claims_say(kit: Any) -> None:
    assert caller_of(kit.claims(), settings=_settings(), now_s=kit.now_s) == Caller(
        tenant="acme",
        project="calls",
        subject="service-7",
        plan="gold",
        scopes=frozenset({"speech:stream", "speech:read"}),
        residency_profile="eu-only",
        expires_at_s=kit.now_s + 600,
        token=TokenIdentity(kit.issuer, "", kit.now_s - 10),
    )


def test_a_token_is_known_by_the_digest_of_its_name_and_never_by_the_name(kit: Any) -> None:
    token = caller_of(kit.claims(jti="token-7"), settings=_settings(), now_s=kit.now_s).token
    assert token.jti_hash == hashlib.sha256(b"token-7").hexdigest()


def test_a_token_that_would_outlive_its_revocation_is_refused_from_the_start(kit: Any) -> None:
    claims = kit.claims(iat=kit.now_s, exp=kit.now_s + 3_600)
    assert _reason(claims, kit.now_s, max_life_s=3_600) is None
    assert _reason(claims, kit.now_s, max_life_s=3_599) is Reason.token_claims_invalid


def test_claims_may_have_other_names(kit: Any) -> None:
    names = {"tenant": "https://example.com/org", "project": "p", "plan": "q", "residency": "r"}
    claims = kit.claims() | {"https://example.com/org": "umbrella", "p": "x", "q": "y", "r": "z"}
    caller = caller_of(claims, settings=_settings(claims=names), now_s=kit.now_s)
    assert (caller.tenant, caller.project, caller.plan, caller.residency_profile) == ("umbrella", "x", "y", "z")


def test_only_the_tenant_has_to_be_named(kit: Any) -> None:
    claims = kit.claims(project=..., plan=..., residency=..., sub=...)
    caller = caller_of(claims, settings=_settings(), now_s=kit.now_s)
    assert (caller.project, caller.plan, caller.residency_profile, caller.subject) == ("", "", "", "")
    assert _reason(kit.claims(tenant=...), kit.now_s) is Reason.token_claims_invalid


def test_a_token_holds_until_its_expiry_plus_the_leeway_and_not_a_second_longer(kit: Any) -> None:
    claims = kit.claims(exp=kit.now_s)
    assert _reason(claims, kit.now_s + LEEWAY_S - 1) is None
    assert _reason(claims, kit.now_s + LEEWAY_S) is Reason.token_expired


@pytest.mark.parametrize("claim", ["nbf", "iat"])
def test_a_token_holds_from_its_start_less_the_leeway_and_not_a_second_sooner(kit: Any, claim: str) -> None:
    claims = kit.claims(**{claim: kit.now_s})
    assert _reason(claims, kit.now_s - LEEWAY_S) is None
    assert _reason(claims, kit.now_s - LEEWAY_S - 1) is Reason.token_not_yet_valid
    assert starts_at_s(claims, leeway_s=LEEWAY_S) == kit.now_s - LEEWAY_S


def test_without_leeway_the_edges_are_the_claims_themselves(kit: Any) -> None:
    claims = kit.claims(iat=kit.now_s, nbf=kit.now_s, exp=kit.now_s + 1)
    assert _reason(claims, kit.now_s - 1, leeway_s=0) is Reason.token_not_yet_valid
    assert _reason(claims, kit.now_s, leeway_s=0) is None
    assert _reason(claims, kit.now_s + 1, leeway_s=0) is Reason.token_expired


@pytest.mark.parametrize("claim", ["exp", "nbf", "iat"])
@pytest.mark.parametrize("value", ["1900000000", None, True, [], {}, -1, 2**40, 1e300, "soon"])
def test_an_instant_that_is_not_a_sensible_number_is_invalid(kit: Any, claim: str, value: Any) -> None:
    assert _reason(kit.claims(**{claim: value}), kit.now_s) is Reason.token_claims_invalid


def test_instants_may_have_fractions(kit: Any) -> None:
    assert _reason(kit.claims(exp=kit.now_s + 0.5), kit.now_s, leeway_s=0) is Reason.token_expired
    assert _reason(kit.claims(exp=kit.now_s + 1.5, iat=kit.now_s + 0.9), kit.now_s, leeway_s=0) is None


@pytest.mark.parametrize(
    "change",
    [
        {"scope": "speech:stream"},
        {"scope": "a  speech:stream "},
        {"scope": ["speech:stream"]},
        {"scope": ..., "scp": "x speech:stream"},
        {"scope": ..., "scp": ["x", "speech:stream"]},
    ],
)
def test_scopes_come_as_text_or_list_under_either_name(kit: Any, change: dict[str, Any]) -> None:
    assert _reason(kit.claims(**change), kit.now_s) is None


@pytest.mark.parametrize(
    "change",
    [
        {"scope": ...},
        {"scope": ""},
        {"scope": []},
        {"scope": "speech:stream2"},
        {"scope": "SPEECH:STREAM"},
        {"scope": "speech:read", "scp": "speech:stream"},
    ],
)
def test_without_the_scope_nobody_streams(kit: Any, change: dict[str, Any]) -> None:
    assert _reason(kit.claims(**change), kit.now_s) is Reason.scope_missing


@pytest.mark.parametrize(
    "value", [1, {"speech:stream": 1}, [1], [["speech:stream"]], "speech:stream\tx", 'a"b', ["a b"], ["x"] * 129, None]
)
def test_scopes_of_another_shape_are_invalid(kit: Any, value: Any) -> None:
    assert _reason(kit.claims(scope=value), kit.now_s) is Reason.token_claims_invalid


@pytest.mark.parametrize("claim", ["tenant", "project", "plan", "residency"])
@pytest.mark.parametrize(
    "value", ["", "a b", "{a}", "a\n", "-a", "é", "x" * 129, 7, ["acme"], {"a": 1}, "../a", "\ud800"]
)
def test_names_are_short_and_plain(kit: Any, claim: str, value: Any) -> None:
    assert _reason(kit.claims(**{claim: value}), kit.now_s) is Reason.token_claims_invalid


@pytest.mark.parametrize("value", [7, None, "x" * 257, "a\nb", "\ud800"])
def test_a_subject_is_a_short_printable_text(kit: Any, value: Any) -> None:
    assert _reason(kit.claims(sub=value), kit.now_s) is Reason.token_claims_invalid


_values = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20) | st.lists(st.text(max_size=5))
_names = st.sampled_from(["exp", "nbf", "iat", "scope", "scp", "tenant", "project", "plan", "residency", "sub"])


@settings(deadline=None)
@given(changes=st.dictionaries(_names, _values))
def test_any_claims_name_a_caller_or_fail_authentication(kit: Any, changes: dict[str, Any]) -> None:
    try:
        caller = caller_of(kit.claims() | changes, settings=_settings(), now_s=kit.now_s)
    except AuthenticationFailed:
        return
    assert "speech:stream" in caller.scopes
    assert caller.expires_at_s + LEEWAY_S > kit.now_s
