"""Verifying tokens: every algorithm, every known attack, the cache, and no token in any text we make."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
import traceback
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.admission.jwks import FixedKeys, keys_of
from gateway.admission.keys import ASYMMETRIC_ALGORITHMS, key_set_of
from gateway.admission.settings import TokenSettings
from gateway.admission.tokens import TokenVerifier, token_verifier
from gateway.errors import AuthenticationFailed, Reason, SessionRefused, Unavailable
from policies.facts import Caller, TokenIdentity

if TYPE_CHECKING:
    import aiohttp

pytestmark = pytest.mark.unit

SECRET = "a-shared-secret-of-32-bytes-or-more"
OTHER_ISSUER = "https://other.example/"
LEEWAY_S = 30


def _shared_issuer(kit: Any) -> dict[str, Any]:
    return {
        "issuer": OTHER_ISSUER,
        "audience": kit.audience,
        "algorithms": ["HS256"],
        "shared_secrets": [{"kid": "shared", "value": SECRET}],
    }


def _verifier(kit: Any, signers: dict[str, Any], **changes: Any) -> TokenVerifier:
    """Trusts every signer for the usual issuer, and a shared secret for the other one."""
    every = list(signers.values())
    usual = {
        "issuer": kit.issuer,
        "audience": kit.audience,
        "algorithms": sorted(ASYMMETRIC_ALGORITHMS),
        "static_keys": [signer.jwk for signer in every],
    }
    issuers = [usual, _shared_issuer(kit)]
    made = TokenSettings.model_validate({"issuers": issuers, "leeway_s": LEEWAY_S, **changes})
    return TokenVerifier(made, {issuer.issuer: keys_of(issuer, made.keys, http=None) for issuer in made.issuers})


@pytest.fixture
def verifier(kit: Any, signers: dict[str, Any]) -> TokenVerifier:
    return _verifier(kit, signers)


async def _refusal(verifier: TokenVerifier, token: str, now_s: int) -> AuthenticationFailed:
    with pytest.raises(AuthenticationFailed) as refusal:
        await verifier.verify(token, now_s=now_s)
    return refusal.value


def _hs256(kit: Any, secret: bytes, header: dict[str, Any], claims: dict[str, Any]) -> str:
    signed = f"{kit.base64url(json.dumps(header).encode())}.{kit.base64url(json.dumps(claims).encode())}"
    return f"{signed}.{kit.base64url(hmac.digest(secret, signed.encode(), hashlib.sha256))}"


@pytest.mark.parametrize("algorithm", sorted(ASYMMETRIC_ALGORITHMS))
async def test_a_good_token_of_every_algorithm_names_its_caller(
    verifier: TokenVerifier, signers: dict[str, Any], kit: Any, algorithm: str
) -> None:
    caller = await verifier.verify(signers[algorithm].sign(kit.claims()), now_s=kit.now_s)
    assert caller == Caller(
        tenant="acme",
        project="calls",
        subject="service-7",
        plan="gold",
        scopes=frozenset({"speech:stream", "speech:read"}),
        residency_profile="eu-only",
        expires_at_s=kit.now_s + 600,
        token=TokenIdentity(kit.issuer, "", kit.now_s - 10),
    )


async def test_a_shared_secret_proves_the_callers_of_its_own_issuer(verifier: TokenVerifier, kit: Any) -> None:
    token = _hs256(kit, SECRET.encode(), {"alg": "HS256", "kid": "shared"}, kit.claims(iss=OTHER_ISSUER))
    assert (await verifier.verify(token, now_s=kit.now_s)).tenant == "acme"


@pytest.mark.parametrize("algorithm", ["none", "None", "NONE", "nOnE"])
@pytest.mark.parametrize("keeps_signature", [True, False])
async def test_an_unsigned_token_proves_nothing(
    verifier: TokenVerifier, signers: dict[str, Any], kit: Any, algorithm: str, keeps_signature: bool
) -> None:
    token = signers["ES256"].sign(kit.claims(), alg=algorithm)
    token = token if keeps_signature else token.rpartition(".")[0] + "."
    refusal = await _refusal(verifier, token, kit.now_s)
    assert refusal.reason is (Reason.token_algorithm_refused if keeps_signature else Reason.token_malformed)


@pytest.mark.parametrize("kid", ["key-RS256", "shared"])
async def test_a_public_key_is_no_shared_secret(
    verifier: TokenVerifier, signers: dict[str, Any], kit: Any, kid: str
) -> None:
    """Algorithm confusion: HS256 with the bytes of the published RSA key, as PEM with and without its last newline."""
    for secret in (
        signers["RS256"].public_pem,
        signers["RS256"].public_pem.strip(),
        signers["RS256"].jwk["n"].encode(),
    ):
        token = _hs256(kit, secret, {"alg": "HS256", "kid": kid}, kit.claims())
        assert (await _refusal(verifier, token, kit.now_s)).reason is Reason.token_algorithm_refused


async def test_a_public_key_does_not_pass_for_the_secret_of_another_issuer(
    verifier: TokenVerifier, signers: dict[str, Any], kit: Any
) -> None:
    header = {"alg": "HS256", "kid": "shared"}
    token = _hs256(kit, signers["RS256"].public_pem, header, kit.claims(iss=OTHER_ISSUER))
    assert (await _refusal(verifier, token, kit.now_s)).reason is Reason.token_signature_invalid


async def test_the_secret_of_one_issuer_does_not_prove_callers_of_another(verifier: TokenVerifier, kit: Any) -> None:
    token = _hs256(kit, SECRET.encode(), {"alg": "HS256", "kid": "shared"}, kit.claims())
    assert (await _refusal(verifier, token, kit.now_s)).reason is Reason.token_algorithm_refused


async def test_the_key_of_one_issuer_does_not_prove_callers_of_another(signers: dict[str, Any], kit: Any) -> None:
    issuers = [
        {"issuer": issuer, "audience": kit.audience, "static_keys": [signers[algorithm].jwk]}
        for issuer, algorithm in ((kit.issuer, "ES256"), (OTHER_ISSUER, "EdDSA"))
    ]
    made = TokenSettings.model_validate({"issuers": issuers})
    verifier = TokenVerifier(made, {issuer.issuer: keys_of(issuer, made.keys, http=None) for issuer in made.issuers})
    await verifier.verify(signers["EdDSA"].sign(kit.claims(iss=OTHER_ISSUER)), now_s=kit.now_s)
    refusal = await _refusal(verifier, signers["EdDSA"].sign(kit.claims()), kit.now_s)
    assert refusal.reason is Reason.token_key_unknown


@pytest.mark.parametrize(
    ("signer", "named"),
    [("ES256", "RS256"), ("RS256", "ES256"), ("EdDSA", "ES256"), ("RS256", "PS256"), ("PS256", "RS256")],
)
async def test_a_key_is_good_for_its_own_algorithm_only(
    verifier: TokenVerifier, signers: dict[str, Any], kit: Any, signer: str, named: str
) -> None:
    token = signers[signer].sign(kit.claims(), kid=f"key-{named}")
    assert (await _refusal(verifier, token, kit.now_s)).reason is Reason.token_algorithm_refused
    liar = signers[signer].sign(kit.claims(), kid=f"key-{named}", alg=named)
    assert (await _refusal(verifier, liar, kit.now_s)).reason is Reason.token_signature_invalid


@pytest.mark.parametrize(
    ("kid", "reason"),
    [
        ("../../../../dev/null", Reason.token_key_unknown),
        ("/etc/passwd", Reason.token_key_unknown),
        ("https://evil.example/keys.json", Reason.token_key_unknown),
        ("key-es256", Reason.token_key_unknown),
        ("' OR 1=1 --", Reason.token_malformed),
        ("key-ES256\x00", Reason.token_malformed),
        ("k" * 5_000, Reason.token_malformed),
        ("ключ", Reason.token_malformed),
        (7, Reason.token_malformed),
        (None, Reason.token_malformed),
        (["key-ES256"], Reason.token_malformed),
        ({"key-ES256": 1}, Reason.token_malformed),
        (..., Reason.token_malformed),
    ],
)
async def test_a_kid_names_a_published_key_and_does_nothing_else(
    verifier: TokenVerifier, signers: dict[str, Any], kit: Any, kid: Any, reason: Reason
) -> None:
    assert (await _refusal(verifier, signers["ES256"].sign(kit.claims(), kid=kid), kit.now_s)).reason is reason


async def test_a_token_cannot_bring_its_own_key(verifier: TokenVerifier, kit: Any) -> None:
    evil = kit.new_signer("ES256", "key-ES256")
    for member, value in {
        "jwk": evil.jwk,
        "jku": "https://evil.example/keys.json",
        "x5u": "https://evil.example/cert.pem",
        "x5c": ["AAAA"],
    }.items():
        refusal = await _refusal(verifier, evil.sign(kit.claims(), **{member: value}), kit.now_s)
        assert refusal.reason is Reason.token_malformed
    assert (await _refusal(verifier, evil.sign(kit.claims()), kit.now_s)).reason is Reason.token_signature_invalid


@pytest.mark.parametrize("claim", ["iss", "aud", "exp", "iat", "nbf", "tenant"])
@pytest.mark.parametrize("value", [..., None])
async def test_every_required_claim_is_required(
    verifier: TokenVerifier, signers: dict[str, Any], kit: Any, claim: str, value: Any
) -> None:
    refusal = await _refusal(verifier, signers["ES256"].sign(kit.claims(**{claim: value})), kit.now_s)
    assert refusal.reason is Reason.token_claims_invalid
    assert f"`{claim}`" in refusal.detail


async def test_an_issuer_that_never_writes_nbf_can_be_trusted_by_settings(signers: dict[str, Any], kit: Any) -> None:
    made = kit.settings([signers["ES256"]], issuer={"requires_nbf": False})
    verifier = TokenVerifier(made, {kit.issuer: keys_of(made.issuers[0], made.keys, http=None)})
    await verifier.verify(signers["ES256"].sign(kit.claims(nbf=...)), now_s=kit.now_s)
    early = await _refusal(verifier, signers["ES256"].sign(kit.claims(nbf=kit.now_s + 99)), kit.now_s)
    assert early.reason is Reason.token_not_yet_valid


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"iss": "https://evil.example/"}, Reason.token_claims_invalid),
        ({"iss": "https://issuer.example"}, Reason.token_claims_invalid),
        ({"iss": ["https://issuer.example/"]}, Reason.token_claims_invalid),
        ({"aud": "other"}, Reason.token_claims_invalid),
        ({"aud": ""}, Reason.token_claims_invalid),
        ({"aud": []}, Reason.token_claims_invalid),
        ({"aud": ["other", "patchbay2"]}, Reason.token_claims_invalid),
        ({"aud": ["patchbay", 7]}, Reason.token_claims_invalid),
        ({"aud": {"patchbay": 1}}, Reason.token_claims_invalid),
        ({"aud": 7}, Reason.token_claims_invalid),
        ({"sub": 7}, Reason.token_claims_invalid),
        ({"jti": 7}, Reason.token_claims_invalid),
        ({"exp": "1900000000"}, Reason.token_claims_invalid),
        ({"tenant": "a b"}, Reason.token_claims_invalid),
        ({"scope": "speech:read"}, Reason.scope_missing),
    ],
)
async def test_claims_that_are_not_for_us_are_refused(
    verifier: TokenVerifier, signers: dict[str, Any], kit: Any, change: dict[str, Any], reason: Reason
) -> None:
    assert (await _refusal(verifier, signers["ES256"].sign(kit.claims(**change)), kit.now_s)).reason is reason


async def test_we_may_be_one_audience_of_several(verifier: TokenVerifier, signers: dict[str, Any], kit: Any) -> None:
    token = signers["ES256"].sign(kit.claims(aud=["other", kit.audience]))
    assert (await verifier.verify(token, now_s=kit.now_s)).tenant == "acme"


@pytest.mark.parametrize(
    ("claim", "offset_s", "reason"),
    [
        ("exp", LEEWAY_S - 1, None),
        ("exp", LEEWAY_S, Reason.token_expired),
        ("nbf", -LEEWAY_S, None),
        ("nbf", -LEEWAY_S - 1, Reason.token_not_yet_valid),
        ("iat", -LEEWAY_S, None),
        ("iat", -LEEWAY_S - 1, Reason.token_not_yet_valid),
    ],
)
async def test_times_hold_at_the_second(
    verifier: TokenVerifier,
    signers: dict[str, Any],
    kit: Any,
    claim: str,
    offset_s: int,
    reason: Reason | None,
) -> None:
    times = {"iat": kit.now_s - 100, "nbf": kit.now_s - 100, claim: kit.now_s}
    token = signers["ES256"].sign(kit.claims(**times))
    if reason is None:
        await verifier.verify(token, now_s=kit.now_s + offset_s)
    else:
        assert (await _refusal(verifier, token, kit.now_s + offset_s)).reason is reason


async def test_a_changed_token_is_refused(verifier: TokenVerifier, signers: dict[str, Any], kit: Any) -> None:
    head, payload, signature = signers["ES256"].sign(kit.claims()).split(".")
    other_payload = kit.base64url(json.dumps(kit.claims(tenant="victim")).encode())
    other_signature = signers["ES256"].sign(kit.claims(tenant="victim")).rpartition(".")[2]
    for token in (
        f"{head}.{other_payload}.{signature}",
        f"{head}.{payload}.{other_signature}",
        f"{head}.{payload}.{signature[:-8]}",
        f"{head}.{payload}.{kit.base64url(bytes(64))}",
        f"{head}.{payload}.{kit.base64url(bytes(1))}",
    ):
        refusal = await _refusal(verifier, token, kit.now_s)
        assert refusal.reason in {Reason.token_signature_invalid, Reason.token_malformed}


async def test_a_token_has_one_spelling(verifier: TokenVerifier, kit: Any, signers: dict[str, Any]) -> None:
    """Base64url has spare bits in its last character; another spelling of good bytes is not the same token."""
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    token = signers["ES256"].sign(kit.claims())
    respelt = token[:-1] + alphabet[alphabet.index(token[-1]) + 1]
    signature, other = (text.rpartition(".")[2] + "==" for text in (token, respelt))
    assert base64.urlsafe_b64decode(signature) == base64.urlsafe_b64decode(other)
    assert (await _refusal(verifier, respelt, kit.now_s)).reason is Reason.token_malformed


async def test_a_signed_token_with_a_member_twice_is_refused(
    verifier: TokenVerifier, signers: dict[str, Any], kit: Any
) -> None:
    payload = json.dumps(kit.claims())[:-1] + ',"tenant":"victim"}'
    assert (await _refusal(verifier, signers["ES256"].sign_text(payload), kit.now_s)).reason is Reason.token_malformed


async def test_a_token_within_a_token_is_refused(verifier: TokenVerifier, signers: dict[str, Any], kit: Any) -> None:
    inner = signers["ES256"].sign(kit.claims())
    for header in ({}, {"cty": "JWT"}):
        token = signers["ES256"].sign_text(inner, **header)
        assert (await _refusal(verifier, token, kit.now_s)).reason is Reason.token_malformed


async def test_a_huge_token_is_refused_by_its_length_alone(
    verifier: TokenVerifier, signers: dict[str, Any], kit: Any
) -> None:
    token = signers["ES256"].sign(kit.claims(padding="x" * 8_192))
    refusal = await _refusal(verifier, token, kit.now_s)
    assert (refusal.reason, refusal.detail) == (Reason.token_malformed, "the token is longer than 8192 bytes")


async def test_a_verified_token_is_recalled_without_being_verified_again(
    verifier: TokenVerifier, signers: dict[str, Any], kit: Any
) -> None:
    token = signers["ES256"].sign(kit.claims())
    assert verifier.recall(token, now_s=kit.now_s) is None
    caller = await verifier.verify(token, now_s=kit.now_s)
    assert verifier.recall(token, now_s=kit.now_s) is caller
    assert verifier.recall(token[:-4] + "AAAA", now_s=kit.now_s) is None


async def test_a_refused_token_is_never_recalled(verifier: TokenVerifier, signers: dict[str, Any], kit: Any) -> None:
    token = signers["ES256"].sign(kit.claims(scope=""))
    await _refusal(verifier, token, kit.now_s)
    assert verifier.recall(token, now_s=kit.now_s) is None


async def test_a_recalled_token_expires_at_its_second(signers: dict[str, Any], kit: Any) -> None:
    verifier = _verifier(kit, signers, cache={"ttl_s": 3_600})
    token = signers["ES256"].sign(kit.claims(exp=kit.now_s + 5))
    await verifier.verify(token, now_s=kit.now_s)
    assert verifier.recall(token, now_s=kit.now_s + 5 + LEEWAY_S - 1) is not None
    assert (await _refusal(verifier, token, kit.now_s + 5 + LEEWAY_S)).reason is Reason.token_expired


async def test_a_recalled_token_is_not_good_before_its_start_when_the_clock_is_set_back(
    verifier: TokenVerifier, signers: dict[str, Any], kit: Any
) -> None:
    token = signers["ES256"].sign(kit.claims())
    await verifier.verify(token, now_s=kit.now_s)
    assert (await _refusal(verifier, token, kit.now_s - 3_600)).reason is Reason.token_not_yet_valid


async def test_no_more_tokens_are_remembered_than_the_settings_say(signers: dict[str, Any], kit: Any) -> None:
    verifier = _verifier(kit, signers, cache={"max_tokens": 2})
    tokens = [signers["EdDSA"].sign(kit.claims(jti=str(number))) for number in range(3)]
    for token in tokens:
        await verifier.verify(token, now_s=kit.now_s)
    assert [verifier.recall(token, now_s=kit.now_s) is not None for token in tokens] == [False, True, True]


async def test_a_withdrawn_key_takes_its_verified_tokens_with_it(
    signers: dict[str, Any], kit: Any, key_server: Any, http: aiohttp.ClientSession
) -> None:
    """Also when another key has taken over its name, and not when it only moved within the document."""
    clock = kit.Clock()
    made = kit.settings(issuer={"jwks_url": key_server.url})
    keys = keys_of(made.issuers[0], made.keys, http, monotonic_s=clock)
    verifier = TokenVerifier(made, {kit.issuer: keys})
    token = signers["ES256"].sign(kit.claims())

    async def read_again() -> None:
        clock.now_s += made.keys.min_refresh_interval_s
        with suppress(AuthenticationFailed):
            await verifier.verify(signers["ES256"].sign(kit.claims(), kid="unknown"), now_s=kit.now_s)

    async with asyncio.TaskGroup() as tasks:
        runner = tasks.create_task(verifier.run())
        key_server.serve_keys(signers["ES256"])
        await verifier.verify(token, now_s=kit.now_s)

        key_server.serve_keys(signers["EdDSA"], signers["ES256"])
        await read_again()
        assert verifier.recall(token, now_s=kit.now_s) is not None

        key_server.serve_keys(kit.new_signer("ES256", "key-ES256"))
        await read_again()
        assert verifier.recall(token, now_s=kit.now_s) is None
        assert (await _refusal(verifier, token, kit.now_s)).reason is Reason.token_signature_invalid

        key_server.serve_keys()
        await read_again()
        clock.now_s += made.keys.min_refresh_interval_s
        assert (await _refusal(verifier, token, kit.now_s)).reason is Reason.token_key_unknown
        runner.cancel()


async def test_when_keys_are_too_old_even_a_recalled_token_waits_for_its_issuer(
    signers: dict[str, Any], kit: Any, key_server: Any, http: aiohttp.ClientSession
) -> None:
    clock = kit.Clock()
    made = kit.settings(issuer={"jwks_url": key_server.url})
    verifier = TokenVerifier(made, {kit.issuer: keys_of(made.issuers[0], made.keys, http, monotonic_s=clock)})
    token = signers["ES256"].sign(kit.claims())
    async with asyncio.TaskGroup() as tasks:
        runner = tasks.create_task(verifier.run())
        key_server.serve_keys(signers["ES256"])
        await verifier.verify(token, now_s=kit.now_s)
        key_server.fail()
        clock.now_s += made.keys.stale_for_s
        assert verifier.recall(token, now_s=kit.now_s) is None
        with pytest.raises(Unavailable) as refusal:
            await verifier.verify(token, now_s=kit.now_s)
        assert refusal.value.reason is Reason.keys_unavailable
        runner.cancel()


async def test_keys_in_the_settings_need_no_runner_to_stay(
    signers: dict[str, Any], kit: Any, http: aiohttp.ClientSession
) -> None:
    verifier = token_verifier(kit.settings([signers["ES256"]]), http)
    await verifier.run()
    await verifier.verify(signers["ES256"].sign(kit.claims()), now_s=kit.now_s)


_CANARY = "canary"


def _canary_tokens(kit: Any, signers: dict[str, Any]) -> dict[str, str]:
    """One token for each way to fail, with the canary in header, claims or text, and in Base64url."""
    signer = signers["ES256"]
    claims = kit.claims(note=_CANARY, tenant=_CANARY, sub=_CANARY)
    good = signer.sign(claims, note=_CANARY)
    return {
        "not a token": _CANARY,
        "too long": _CANARY * 2_000,
        "surrogates": f"{_CANARY}\ud800",
        "header not JSON": f"{kit.base64url(b'{' + _CANARY.encode())}.e30.c2ln",
        "payload not JSON": signer.sign_text(_CANARY),
        "algorithm": signer.sign(claims, alg=_CANARY),
        "issuer's algorithm": signer.sign(claims, alg="HS256"),
        "kid shape": signer.sign(claims, kid=f" {_CANARY}"),
        "kid unknown": signer.sign(claims, kid=_CANARY),
        "crit": signer.sign(claims, crit=[_CANARY]),
        "typ": signer.sign(claims, typ=_CANARY),
        "issuer": signer.sign(claims | {"iss": _CANARY}),
        "audience": signer.sign(claims | {"aud": _CANARY}),
        "times": signer.sign(claims | {"exp": _CANARY}),
        "expired": signer.sign(claims | {"exp": 1}),
        "early": signer.sign(claims | {"nbf": kit.now_s + 999}),
        "scope": signer.sign(claims | {"scope": _CANARY}),
        "scope shape": signer.sign(claims | {"scope": [f"{_CANARY} x"]}),
        "tenant": signer.sign(claims | {"tenant": f"{_CANARY} x"}),
        "subject": signer.sign(claims | {"sub": f"{_CANARY}\n"}),
        "signature": good[:-8] + "AAAAAAAA",
        "signature respelt": good[:-1] + ("-" if good[-1] == "A" else "B"),
    }


def _everything_said(error: BaseException | None) -> str:
    """All that a log, a crash report or a debugger's summary shows of an error and of those behind it."""
    said = ""
    while error is not None:
        said += repr(error) + str(error) + repr(error.args) + repr(vars(error))
        said += "".join(traceback.format_exception(error))
        error = error.__context__
    return said


async def test_no_failure_ever_says_a_piece_of_the_token(
    verifier: TokenVerifier, signers: dict[str, Any], kit: Any, capfd: pytest.CaptureFixture[str]
) -> None:
    tokens = _canary_tokens(kit, signers)
    reasons = set()
    for name, token in tokens.items():
        with pytest.raises(SessionRefused) as refusal:
            await verifier.verify(token, now_s=kit.now_s)
        said = _everything_said(refusal.value)
        pieces = [piece for piece in token.split(".") if len(piece) > 8]
        assert _CANARY not in said.lower(), name
        assert not any(piece in said for piece in pieces), name
        reasons.add(refusal.value.reason)
    assert reasons == {reason for reason in Reason if reason.startswith("token_")} - {
        Reason.token_missing,
        Reason.token_revoked,
    } | {Reason.scope_missing}
    written = capfd.readouterr()
    assert _CANARY not in written.out + written.err


async def test_the_verifier_shows_no_token_and_no_secret_of_those_it_remembers(
    verifier: TokenVerifier, signers: dict[str, Any], kit: Any
) -> None:
    token = signers["ES256"].sign(kit.claims())
    await verifier.verify(token, now_s=kit.now_s)
    shown = repr(verifier) + repr(vars(verifier)) + repr(vars(verifier._cache))
    assert not any(piece in shown for piece in token.split("."))
    assert SECRET not in shown


_texts = st.text(max_size=300) | st.from_regex(r"\A[\w-]{0,80}\.[\w-]{0,80}\.[\w-]{0,40}\Z")
_members = st.dictionaries(
    st.sampled_from(["alg", "kid", "typ", "crit", "iss", "aud", "exp", "nbf", "iat", "scope", "tenant", "sub"]),
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9) | st.lists(st.integers(), max_size=2),
    max_size=4,
)


@settings(deadline=None)
@given(text=_texts)
async def test_any_text_names_a_caller_or_fails_authentication(kit: Any, signers: dict[str, Any], text: str) -> None:
    with suppress(AuthenticationFailed):
        await _verifier_of_one(kit, signers).verify(text, now_s=kit.now_s)


@settings(deadline=None)
@given(header=_members, claims=_members)
async def test_any_signed_token_names_a_caller_or_fails_authentication(
    kit: Any, signers: dict[str, Any], header: dict[str, Any], claims: dict[str, Any]
) -> None:
    token = signers["EdDSA"].sign(kit.claims() | claims, **header)
    with suppress(AuthenticationFailed):
        caller = await _verifier_of_one(kit, signers).verify(token, now_s=kit.now_s)
        assert caller.tenant == (kit.claims() | claims)["tenant"]


def _verifier_of_one(kit: Any, signers: dict[str, Any]) -> TokenVerifier:
    keys = FixedKeys(key_set_of([signers["EdDSA"].jwk], algorithms=["EdDSA"]))
    return TokenVerifier(kit.settings([signers["EdDSA"]]), {kit.issuer: keys})
