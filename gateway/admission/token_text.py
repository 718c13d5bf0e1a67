"""What a token says before anything is proven: enough to choose the key that must prove it, and nothing more."""

from __future__ import annotations

import base64
import binascii
import re
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from gateway.admission import strict_json
from gateway.admission.keys import is_kid
from gateway.errors import AuthenticationFailed, Reason

_COMPACT = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+")
_OWN_KEY_MEMBERS = frozenset({"jku", "jwk", "x5u", "x5c"})
_TYPES = frozenset({"jwt", "application/jwt", "at+jwt", "application/at+jwt"})
"""Compared without case (RFC 8725 §3.11). Logout tokens, DPoP proofs and the like are not for us."""


@dataclass(frozen=True, slots=True)
class Unproven:
    """What an unverified token claims. Good for choosing a key; never for admitting anybody."""

    kid: str
    algorithm: str
    issuer: str


def read_unproven(token: str, *, max_token_bytes: int, algorithms: frozenset[str]) -> Unproven:
    """Read the header and the issuer of a compact JWS.

    Args:
        token: any text at all; its length is looked at first.
        algorithms: those of all issuers together.

    Raises:
        AuthenticationFailed: `token_malformed`, `token_algorithm_refused` or `token_claims_invalid`. The detail says
            what was expected and holds nothing of the token.
    """
    if len(token) > max_token_bytes:
        raise _malformed(f"the token is longer than {max_token_bytes} bytes")
    if _COMPACT.fullmatch(token) is None:
        raise _malformed("expected a signed JWT: three parts of Base64url with dots between them")
    header_part, payload_part, _ = token.split(".")
    header = _members_of(header_part, "header")
    _check_header(header)
    algorithm = header.get("alg")
    if not isinstance(algorithm, str) or algorithm not in algorithms:
        raise AuthenticationFailed(
            Reason.token_algorithm_refused, f"`alg` must be one of {', '.join(sorted(algorithms))}"
        )
    kid = header.get("kid")
    if not is_kid(kid):
        raise _malformed("the header must name its key in `kid`, with up to 128 plain characters")
    issuer = _members_of(payload_part, "payload").get("iss")
    if not isinstance(issuer, str):
        raise AuthenticationFailed(Reason.token_claims_invalid, "the claim `iss` must be the issuer's name")
    return Unproven(kid=str(kid), algorithm=algorithm, issuer=issuer)


def _check_header(header: dict[str, Any]) -> None:
    if "crit" in header or "b64" in header:
        raise _malformed("the header must not have `crit` or `b64`: we know no extension")
    if not _OWN_KEY_MEMBERS.isdisjoint(header):
        raise _malformed("the header must not bring its own key (`jwk`, `jku`, `x5c`, `x5u`)")
    kind = header.get("typ", "JWT")
    if not isinstance(kind, str) or kind.lower() not in _TYPES:
        raise _malformed("the header's `typ` must be JWT or at+jwt")
    if "cty" in header:
        raise _malformed("a token within a token is not accepted: the header must not have `cty`")


def _members_of(part: str, name: str) -> dict[str, Any]:
    """The JSON object in one part.

    Raises:
        AuthenticationFailed: outside of any handler, as the library's errors hold the text.
    """
    value: Any = None
    with suppress(binascii.Error, strict_json.NotStrictJson):
        value = strict_json.loads(base64.b64decode(part + "=" * (-len(part) % 4), altchars=b"-_", validate=True))
    if not isinstance(value, dict):
        raise _malformed(f"the {name} must be a JSON object in which every member is given once")
    return value


def _malformed(detail: str) -> AuthenticationFailed:
    return AuthenticationFailed(Reason.token_malformed, detail)
