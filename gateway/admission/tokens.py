"""Verifying a token: which key must have signed it, whether it did, and who is calling.

These must stay true:
  - Nothing of a token is believed before its signature is checked, except which issuer's key to check it with.
  - Issuer, key and algorithm belong together by settings; a token picks among them and cannot combine them anew.
  - No token is held, logged, shown or put into an exception; errors are raised outside of the handlers of library
    errors, which hold pieces of the text.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import jwt
import jwt.exceptions

from gateway.admission.claims import caller_of, starts_at_s
from gateway.admission.jwks import keys_of
from gateway.admission.token_cache import TokenCache, VerifiedToken, digest_of
from gateway.admission.token_text import read_unproven
from gateway.errors import AuthenticationFailed, Reason

if TYPE_CHECKING:
    from collections.abc import Mapping

    import aiohttp

    from gateway.admission.jwks import IssuerKeys
    from gateway.admission.keys import VerificationKey
    from gateway.admission.settings import IssuerSettings, TokenSettings
    from gateway.admission.token_text import Unproven
    from policies.facts import Caller


class TokenVerifier:
    """Turns tokens into callers. `keys` has an entry for every issuer of the settings."""

    def __init__(self, settings: TokenSettings, keys: Mapping[str, IssuerKeys]) -> None:
        self._settings = settings
        self._keys = dict(keys)
        self._issuers = {issuer.issuer: issuer for issuer in settings.issuers}
        self._algorithms = frozenset(algorithm for issuer in settings.issuers for algorithm in issuer.algorithms)
        self._cache = TokenCache(settings.cache.max_tokens)

    def recall(self, token: str, *, now_s: int) -> Caller | None:
        """The caller of a token verified before, if it holds now and its key is still in use. Does not wait."""
        if len(token) > self._settings.max_token_bytes:
            return None
        return self._recall(digest_of(token), now_s)

    async def verify(self, token: str, *, now_s: int) -> Caller:
        """Who is calling. Waits only where a key has to be looked up at its issuer.

        Args:
            token: any text.
            now_s: Unix seconds.

        Raises:
            AuthenticationFailed: the token proves nobody who may stream.
            Unavailable: `keys_unavailable`; whether it does cannot be told now.
        """
        caller = self.recall(token, now_s=now_s)
        if caller is not None:
            return caller
        unproven = read_unproven(token, max_token_bytes=self._settings.max_token_bytes, algorithms=self._algorithms)
        issuer = self._issuer_of(unproven)
        key = await self._keys[issuer.issuer].find(unproven.kid)
        if key is None:
            raise AuthenticationFailed(Reason.token_key_unknown, "the issuer publishes no key with this `kid`")
        claims = _proven_claims(token, key, issuer)
        if isinstance(claims, AuthenticationFailed):
            raise claims
        caller = caller_of(claims, settings=self._settings, now_s=now_s)
        self._remember(token, claims, caller, key, now_s=now_s)
        return caller

    def requiring(self, scopes: tuple[str, ...]) -> TokenVerifier:
        """One that asks for these scopes instead, with the same keys; it needs no `run` of its own."""
        return TokenVerifier(self._settings.model_copy(update={"required_scopes": scopes}), self._keys)

    async def run(self) -> None:
        """Keep every issuer's keys up to date until cancelled; belongs into the top TaskGroup."""
        async with asyncio.TaskGroup() as tasks:
            for issuer, keys in self._keys.items():
                tasks.create_task(keys.run(), name=f"keys of {issuer}")

    def _recall(self, digest: bytes, now_s: int) -> Caller | None:
        entry = self._cache.get(digest, now_s=now_s)
        if entry is None:
            return None
        if self._keys[entry.issuer].known(entry.key.kid) != entry.key:
            self._cache.discard(digest)
            return None
        return entry.caller

    def _issuer_of(self, unproven: Unproven) -> IssuerSettings:
        issuer = self._issuers.get(unproven.issuer)
        if issuer is None:
            raise AuthenticationFailed(Reason.token_claims_invalid, "`iss` is not an issuer that this gateway trusts")
        if unproven.algorithm not in issuer.algorithms:
            raise AuthenticationFailed(
                Reason.token_algorithm_refused, f"this issuer's tokens must use {', '.join(issuer.algorithms)}"
            )
        return issuer

    def _remember(
        self, token: str, claims: Mapping[str, Any], caller: Caller, key: VerificationKey, *, now_s: int
    ) -> None:
        entry = VerifiedToken(
            caller=caller,
            issuer=claims["iss"],
            key=key,
            starts_at_s=starts_at_s(claims, leeway_s=self._settings.leeway_s),
            forget_at_s=min(caller.expires_at_s + self._settings.leeway_s, now_s + self._settings.cache.ttl_s),
        )
        self._cache.put(digest_of(token), entry)


def token_verifier(settings: TokenSettings, http: aiohttp.ClientSession) -> TokenVerifier:
    """A verifier with the keys that the settings name. Its `run` must run for it to answer."""
    return TokenVerifier(settings, {issuer.issuer: keys_of(issuer, settings.keys, http) for issuer in settings.issuers})


def _proven_claims(token: str, key: VerificationKey, issuer: IssuerSettings) -> dict[str, Any] | AuthenticationFailed:
    """Claims under a good signature, of the right issuer and audience. Their times are checked with our own clock."""
    required = ["iss", "aud", "exp", "iat", *(["nbf"] if issuer.requires_nbf else [])]
    try:
        return jwt.decode(
            token,
            key=key.material,
            algorithms=[key.algorithm],
            audience=issuer.audience,
            issuer=issuer.issuer,
            options={"require": required, "verify_exp": False, "verify_nbf": False, "verify_iat": False},
        )
    except jwt.MissingRequiredClaimError as error:
        return _invalid_claim(f"the claim `{error.claim}` is required")
    except jwt.InvalidAudienceError:
        return _invalid_claim(f"the claim `aud` must be or contain {issuer.audience}")
    except jwt.InvalidIssuerError:
        return _invalid_claim("the claim `iss` is not the issuer of this key")
    except (jwt.exceptions.InvalidSubjectError, jwt.exceptions.InvalidJTIError):
        return _invalid_claim("the claims `sub` and `jti` must be texts")
    except jwt.InvalidSignatureError:
        return AuthenticationFailed(Reason.token_signature_invalid, "the signature is not that of the named key")
    except (jwt.InvalidAlgorithmError, jwt.InvalidKeyError):
        return AuthenticationFailed(Reason.token_algorithm_refused, f"that key is for {key.algorithm} only")
    except jwt.InvalidTokenError:
        return AuthenticationFailed(Reason.token_malformed, "expected a signed JWT in canonical Base64url")


def _invalid_claim(detail: str) -> AuthenticationFailed:
    return AuthenticationFailed(Reason.token_claims_invalid, detail)
