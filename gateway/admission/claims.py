"""From proven claims to a caller: times, scopes, tenant. Pure; the time is given."""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING, Any

from gateway.errors import AuthenticationFailed, Reason
from gateway.wire.stated import read_consent, read_countries, read_data_class, read_legal_basis, read_subject_id
from policies.facts import Caller, TokenIdentity
from policies.residency.situation import NOTHING_STATED, Stated

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gateway.admission.settings import ClaimNames, TokenSettings

MAX_SUBJECT_CHARS = 256
MAX_SCOPES = 128
_MAX_INSTANT_S = 2**40
"""Some 34,000 years: beyond every honest date, and small enough to add a leeway to."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:@-]{0,127}")
"""Tenants and the like become labels, log fields and parts of keys: no spaces, braces or quotes."""
_SCOPE = re.compile(r"[\x21\x23-\x5B\x5D-\x7E]{1,256}")
"""RFC 6749 §3.3."""


def caller_of(claims: Mapping[str, Any], *, settings: TokenSettings, now_s: int) -> Caller:
    """Check what a proven token says, and name its caller.

    `expires_at_s` of the caller is `exp` itself; the token is accepted, and a session may last, the leeway longer.

    Raises:
        AuthenticationFailed: `token_claims_invalid`, `token_not_yet_valid`, `token_expired` or `scope_missing`.
    """
    expires_at_s = _check_times(claims, settings=settings, now_s=now_s)
    scopes = _scopes(claims)
    missing = [scope for scope in settings.required_scopes if scope not in scopes]
    if missing:
        raise AuthenticationFailed(Reason.scope_missing, f"the token needs the scope {' '.join(missing)}")
    names: ClaimNames = settings.claims
    tenant = _name(claims, names.tenant)
    if not tenant:
        raise _invalid(f"the claim `{names.tenant}` is required")
    return Caller(
        tenant=tenant,
        project=_name(claims, names.project),
        subject=_subject(claims),
        plan=_name(claims, names.plan),
        scopes=scopes,
        residency_profile=_name(claims, names.residency),
        expires_at_s=expires_at_s,
        token=TokenIdentity(
            issuer=str(claims.get("iss", "")),
            jti_hash=hash_of(claims["jti"]) if claims.get("jti") else "",
            issued_at_s=_instant_s(claims, "iat"),
        ),
        stated=_stated(claims, names),
    )


def hash_of(text: str) -> str:
    """How a `jti` or `sub` is known outside its token: SHA-256 in hexadecimal."""
    return hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()


def starts_at_s(claims: Mapping[str, Any], *, leeway_s: int) -> int:
    """The first second at which these claims are accepted."""
    starts = [_instant_s(claims, name) for name in ("nbf", "iat") if name in claims]
    return max(starts, default=0) - leeway_s


def _check_times(claims: Mapping[str, Any], *, settings: TokenSettings, now_s: int) -> int:
    leeway_s = settings.leeway_s
    expires_at_s = _instant_s(claims, "exp")
    if now_s < starts_at_s(claims, leeway_s=leeway_s):
        raise AuthenticationFailed(
            Reason.token_not_yet_valid, f"`nbf` and `iat` must not lie more than {leeway_s} s ahead of our clock"
        )
    if now_s >= expires_at_s + leeway_s:
        raise AuthenticationFailed(Reason.token_expired, f"`exp` passed more than {leeway_s} s ago; get a new token")
    if expires_at_s - _instant_s(claims, "iat") > settings.max_life_s:
        raise _invalid(f"a token may hold for {settings.max_life_s} s; `exp` lies further behind `iat`")
    return expires_at_s


def _instant_s(claims: Mapping[str, Any], name: str) -> int:
    """A NumericDate (RFC 7519 §2) in whole seconds, rounded down."""
    value = claims.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < _MAX_INSTANT_S:
        raise _invalid(f"the claim `{name}` must be seconds since 1970, as a number")
    return int(value)


def _scopes(claims: Mapping[str, Any]) -> frozenset[str]:
    """`scope` (RFC 8693 §4.2) or, where it is absent, `scp`; each a text with spaces or a list of texts."""
    value = claims.get("scope", claims.get("scp", ""))
    found = value.split(" ") if isinstance(value, str) else value
    if not isinstance(found, list) or len(found) > MAX_SCOPES:
        raise _invalid(f"the claim `scope` (or `scp`) must be a text or a list of at most {MAX_SCOPES} scopes")
    scopes = [scope for scope in found if scope != ""]
    if not all(isinstance(scope, str) and _SCOPE.fullmatch(scope) for scope in scopes):
        raise _invalid("every scope must be a text of printable ASCII without spaces, quotes and backslashes")
    return frozenset(scopes)


def _name(claims: Mapping[str, Any], claim: str) -> str:
    value = claims.get(claim)
    if value is None:
        return ""
    if not isinstance(value, str) or _NAME.fullmatch(value) is None:
        raise _invalid(f"the claim `{claim}` must be 1 to 128 letters, digits or any of . _ : @ -")
    return value


def _stated(claims: Mapping[str, Any], names: ClaimNames) -> Stated:
    """What the token says about the speech; each of these claims may be left out."""
    given = [claims.get(name) for name in (names.data_class, names.subject_country, names.consent, names.legal_basis)]
    subject_id = claims.get(names.subject_id)
    if given == [None] * len(given) and subject_id is None:
        return NOTHING_STATED
    mistakes: list[str] = []
    stated = Stated(
        data_class=read_data_class(names.data_class, given[0], mistakes),
        subject_countries=read_countries(names.subject_country, given[1], mistakes),
        has_consent=read_consent(names.consent, given[2], mistakes),
        legal_basis=read_legal_basis(names.legal_basis, given[3], mistakes),
        subject_id=read_subject_id(names.subject_id, subject_id, mistakes),
    )
    if mistakes:
        raise _invalid("; ".join(f"the claim {mistake}" for mistake in mistakes))
    return stated


def _subject(claims: Mapping[str, Any]) -> str:
    value = claims.get("sub", "")
    if not isinstance(value, str) or len(value) > MAX_SUBJECT_CHARS or not value.isprintable():
        raise _invalid(f"the claim `sub` must be a printable text of at most {MAX_SUBJECT_CHARS} characters")
    return value


def _invalid(detail: str) -> AuthenticationFailed:
    return AuthenticationFailed(Reason.token_claims_invalid, detail)
