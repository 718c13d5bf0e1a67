"""Where a request may carry its token. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gateway.errors import AuthenticationFailed, Reason

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

SUBPROTOCOL = "patchbay.v1"
"""What the gateway answers in `Sec-WebSocket-Protocol` when it was offered; the `bearer.` offer is never echoed."""

RESUME_HEADER = "Patchbay-Resume"
"""The resume token of a session that goes on, where the caller's own token is outside `start` too. As metadata in lower
case.
"""

QUERY_PARAMETERS = frozenset({"token", "access_token"})

_BEARER_PREFIX = "bearer."
_SCHEMES = frozenset({"bearer", "token"})
"""`Token` is what vendor SDKs write (Deepgram)."""


def token_of_request(
    *,
    authorization: Sequence[str] = (),
    query: Iterable[tuple[str, str]] = (),
    subprotocols: Sequence[str] = (),
) -> str | None:
    """The one token that a request carries; None if it carries none.

    Args:
        authorization: every value of the `Authorization` header (or of gRPC's `authorization` metadata).
        query: decoded names and values of the address's query.
        subprotocols: what `Sec-WebSocket-Protocol` offers, one by one.

    Raises:
        AuthenticationFailed: `token_malformed`, for another scheme or for two different tokens.
    """
    found = [_of_authorization(value) for value in authorization]
    found += [value for name, value in query if name in QUERY_PARAMETERS]
    found += [offer[len(_BEARER_PREFIX) :] for offer in subprotocols if offer.startswith(_BEARER_PREFIX)]
    return _the_one(found)


def agreed_token(of_request: str | None, of_start: str | None) -> str | None:
    """The token of the session, from the request and from its first message.

    Raises:
        AuthenticationFailed: `token_malformed`: both carry one, and they differ.
    """
    return _the_one([of_request or "", of_start or ""])


def _of_authorization(value: str) -> str:
    scheme, _, token = value.strip().partition(" ")
    if scheme.lower() not in _SCHEMES:
        raise AuthenticationFailed(Reason.token_malformed, "expected `Authorization: Bearer <token>`")
    return token.strip()


def _the_one(found: Iterable[str]) -> str | None:
    """The token among those found; empty ones are none."""
    different = {token for token in found if token}
    if len(different) > 1:
        raise AuthenticationFailed(Reason.token_malformed, "two different tokens came at once; send one")
    return different.pop() if different else None
