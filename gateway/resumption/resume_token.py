"""The resume token: a signed note of ours, carried by the client, of which session it may go on with. Pure.

These must stay true:
  - Nothing in it is secret, and nothing in it is content: it names a session, whose it is, and what was asked for.
  - It is believed only with a signature of ours, made for this purpose: a caller's token is none, nor the other way.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import jwt
import msgspec

from gateway.errors import ClientFault, Reason

if TYPE_CHECKING:
    from gateway.resumption.token_keys import TokenKeys

_ALGORITHM = "HS256"
_TYPE = "patchbay-resume+jwt"
_AUDIENCE = "patchbay/resume"
_REQUIRED = ["exp", "aud"]


class ResumeClaims(msgspec.Struct, frozen=True, kw_only=True):
    """What a token says. Unix seconds.

    Attributes:
        home: the region that ended the connection; it knows best where the session stands.
        profile: the residency profile of the caller.
        generation: see gateway.resumption.interface.CommitPoint; of the gateway that made the token.
        began_at_s: the start of the session, at its first gateway.
        options: see gateway.wire.option_digests.
    """

    session_id: str = msgspec.field(name="sid")
    org: str
    project: str = msgspec.field(name="prj")
    home: str
    profile: str = msgspec.field(name="prf")
    generation: int = msgspec.field(name="gen")
    began_at_s: int = msgspec.field(name="bgn")
    expires_at_s: int = msgspec.field(name="exp")
    options: dict[str, str] = msgspec.field(name="opt")


class ResumeTokens:
    """Makes and reads them."""

    def __init__(self, keys: TokenKeys) -> None:
        self._keys = keys

    def sign(self, claims: ResumeClaims) -> str:
        """Compact JWS (RFC 7515), some 350 characters."""
        keys = self._keys
        return jwt.encode(
            {**msgspec.to_builtins(claims), "aud": _AUDIENCE},
            keys.by_id[keys.signer],
            algorithm=_ALGORITHM,
            headers={"typ": _TYPE, "kid": keys.signer},
        )

    def read(self, token: str, *, now_s: int) -> ResumeClaims:
        """Raises ClientFault: `resume_token_invalid` or `resume_expired`; the text repeats nothing of the token."""
        try:
            header = jwt.get_unverified_header(token)
            key = self._keys.by_id.get(str(header.get("kid", "")))
            if key is None or header.get("typ") != _TYPE:
                raise ClientFault(Reason.resume_token_invalid)
            said = jwt.decode(
                token,
                key,
                algorithms=[_ALGORITHM],
                audience=_AUDIENCE,
                options={"require": _REQUIRED, "verify_exp": False, "verify_iat": False, "verify_nbf": False},
            )
            claims = msgspec.convert(said, ResumeClaims)
        except (jwt.PyJWTError, msgspec.ValidationError, ValueError, RecursionError):
            raise ClientFault(Reason.resume_token_invalid) from None
        if now_s >= claims.expires_at_s:
            raise ClientFault(Reason.resume_expired)
        return claims
