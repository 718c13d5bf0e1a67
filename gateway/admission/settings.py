"""Settings of admission: which issuers prove callers, with which keys, and how many sessions one gateway holds."""

from __future__ import annotations

import ipaddress
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

from pydantic import BaseModel, Field, SecretStr, field_validator, model_validator

from gateway.admission.keys import MAX_KID_CHARS, AsymmetricAlgorithm, is_kid, key_set_of, secret_key

TokenAlgorithm = AsymmetricAlgorithm | Literal["HS256"]


class SharedSecret(BaseModel, frozen=True, extra="forbid", hide_input_in_errors=True):
    """One HS256 secret. Give two while one replaces the other."""

    kid: str
    value: SecretStr

    @model_validator(mode="after")
    def _is_usable(self) -> SharedSecret:
        if not is_kid(self.kid):
            raise ValueError(f"kid must be 1 to {MAX_KID_CHARS} letters, digits or any of . _ : + / = @ ~ -")
        secret_key(self.kid, self.value.get_secret_value().encode())
        return self


class IssuerSettings(BaseModel, frozen=True, extra="forbid", hide_input_in_errors=True):
    """One issuer of tokens, and where its keys come from: exactly one of the four sources.

    `static_keys` are public JWKs. `shared_secrets` go with `algorithms = ["HS256"]` and with nothing else.
    """

    issuer: str = Field(min_length=1, max_length=512)
    audience: str = Field(min_length=1, max_length=512)
    algorithms: tuple[TokenAlgorithm, ...] = Field(default=("RS256", "ES256", "EdDSA"), min_length=1)
    jwks_url: str | None = None
    jwks_file: Path | None = None
    static_keys: tuple[dict[str, Any], ...] = ()
    shared_secrets: tuple[SharedSecret, ...] = ()
    requires_nbf: bool = True
    """Several identity providers never write `nbf`; for them `iat` alone says from when a token holds."""

    @model_validator(mode="after")
    def _agrees_with_itself(self) -> IssuerSettings:
        mistakes = [*self._source_mistakes(), *self._algorithm_mistakes(), *self._static_key_mistakes()]
        if self.jwks_url is not None:
            mistakes += _url_mistakes(self.jwks_url)
        if mistakes:
            raise ValueError("; ".join(mistakes))
        return self

    def _source_mistakes(self) -> list[str]:
        sources = [self.jwks_url is not None, self.jwks_file is not None, self.static_keys, self.shared_secrets]
        if sum(map(bool, sources)) == 1:
            return []
        return ["give exactly one of jwks_url, jwks_file, static_keys and shared_secrets"]

    def _algorithm_mistakes(self) -> list[str]:
        mistakes = []
        if "HS256" in self.algorithms and len(set(self.algorithms)) > 1:
            mistakes.append("HS256 cannot be mixed with other algorithms on one issuer")
        if "HS256" in self.algorithms and not self.shared_secrets:
            mistakes.append("HS256 needs shared_secrets")
        if self.shared_secrets and "HS256" not in self.algorithms:
            mistakes.append('shared_secrets need algorithms = ["HS256"]')
        kids = [secret.kid for secret in self.shared_secrets]
        if len(set(kids)) != len(kids):
            mistakes.append("each of shared_secrets needs its own kid")
        return mistakes

    def _static_key_mistakes(self) -> list[str]:
        ignored = key_set_of(self.static_keys, algorithms=self.algorithms).ignored
        return [f"a key of static_keys cannot be used: {reason}" for reason in ignored]


class ClaimNames(BaseModel, frozen=True, extra="forbid"):
    """Which claims say what; issuers that insist on namespaces have names like `https://example.com/tenant`."""

    tenant: str = Field(default="tenant", min_length=1)
    project: str = Field(default="project", min_length=1)
    plan: str = Field(default="plan", min_length=1)
    residency: str = Field(default="residency", min_length=1)
    data_class: str = Field(default="data_class", min_length=1)
    subject_country: str = Field(default="subject_country", min_length=1)
    consent: str = Field(default="consent", min_length=1)
    legal_basis: str = Field(default="legal_basis", min_length=1)
    subject_id: str = Field(default="subject_id", min_length=1)


class TokenCacheSettings(BaseModel, frozen=True, extra="forbid"):
    """Verified tokens are remembered by their digest, never by their text."""

    max_tokens: int = Field(default=10_000, ge=1, le=1_000_000)
    ttl_s: int = Field(default=300, ge=1, le=3_600)


class KeyRefreshSettings(BaseModel, frozen=True, extra="forbid"):
    """How keys that come from an address or a file are kept up to date."""

    fresh_for_s: int = Field(default=300, ge=1, le=86_400)
    """Read again this often; a key that its issuer withdraws is refused after at most this, while it can be reached."""
    stale_for_s: int = Field(default=86_400, ge=1, le=604_800)
    """Go on with the keys last read for this long when they cannot be read again; then refuse everybody."""
    min_refresh_interval_s: int = Field(default=10, ge=1, le=3_600)
    """However many unknown keys are named, read no more often than this."""
    fetch_timeout_ms: int = Field(default=3_000, ge=1, le=30_000)
    max_document_bytes: int = Field(default=262_144, ge=256, le=4_194_304)
    max_keys: int = Field(default=64, ge=1, le=1_024)
    max_waiting: int = Field(default=1_000, ge=1, le=100_000)
    """Callers that may wait for one read at a time; more are told to come again."""

    @model_validator(mode="after")
    def _limits_agree(self) -> KeyRefreshSettings:
        mistakes = []
        if self.fresh_for_s > self.stale_for_s:
            mistakes.append("fresh_for_s must not exceed stale_for_s")
        if self.min_refresh_interval_s > self.fresh_for_s:
            mistakes.append("min_refresh_interval_s must not exceed fresh_for_s")
        if mistakes:
            raise ValueError("; ".join(mistakes))
        return self


class RevocationSettings(BaseModel, frozen=True, extra="forbid"):
    """How revocations are followed, where there is a Redis."""

    poll_interval_ms: int = Field(default=1_000, ge=50, le=2_000)
    """A revoked token's sessions end within this, a call to Redis and 50 ms; it must stay below 5 s in all."""
    max_entries: int = Field(default=100_000, ge=1, le=1_000_000)
    """In Redis, and so in memory; more are refused when they are made."""
    max_age_s: int = Field(default=0, ge=0, le=86_400)
    """New sessions are refused while the revocations were last read longer ago than this; 0: never for that."""


class TokenSettings(BaseModel, frozen=True, extra="forbid", hide_input_in_errors=True):
    """What makes a token good here.

    A model that contains this one must set `hide_input_in_errors` too: pydantic asks only the outermost model whether a
    mistake may show what was given, and here that can be a secret.
    """

    issuers: tuple[IssuerSettings, ...] = Field(min_length=1)
    required_scopes: tuple[str, ...] = ("speech:stream",)
    leeway_s: int = Field(default=30, ge=0, le=300)
    max_token_bytes: int = Field(default=8_192, ge=256, le=65_536)
    max_life_s: int = Field(default=2_592_000, ge=60, le=31_622_400)
    """From `iat` to `exp`. A revocation is kept for so long: no token outlives it."""
    claims: ClaimNames = ClaimNames()
    cache: TokenCacheSettings = TokenCacheSettings()
    keys: KeyRefreshSettings = KeyRefreshSettings()
    revocations: RevocationSettings = RevocationSettings()

    @field_validator("issuers")
    @classmethod
    def _issuers_differ(cls, issuers: tuple[IssuerSettings, ...]) -> tuple[IssuerSettings, ...]:
        names = [issuer.issuer for issuer in issuers]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"these issuers are given twice: {', '.join(twice)}")
        return issuers


class AddressSettings(BaseModel, frozen=True, extra="forbid"):
    """What one client address may do before its token is looked at: in this process, counted by it alone."""

    handshakes_per_minute: int = Field(default=600, ge=1, le=6_000_000)
    handshake_burst: int = Field(default=200, ge=1, le=1_000_000)
    failures_per_minute: int = Field(default=12, ge=1, le=6_000_000)
    """Handshakes whose token proves nothing."""
    failure_burst: int = Field(default=30, ge=1, le=1_000_000)
    max_pending: int = Field(default=100, ge=1, le=1_000_000)
    """Connections whose `start` has not come yet."""
    max_addresses: int = Field(default=50_000, ge=1, le=10_000_000)
    """With a bucket of their own, for each of the two rates; more share a fixed number of buckets."""
    exempt_networks: tuple[str, ...] = ("127.0.0.0/8", "::1/128")
    """Load balancers and monitoring; for IPv6 at most the first 64 bits count."""
    is_shadow: bool = False
    """Counted and told, never refused."""

    @field_validator("exempt_networks")
    @classmethod
    def _are_networks(cls, networks: tuple[str, ...]) -> tuple[str, ...]:
        for text in networks:
            network = ipaddress.ip_network(text)
            is_mapped = network.version == 6 and text.lower().startswith("::ffff:")
            if network.version == 6 and 64 < network.prefixlen < 128 and not is_mapped:
                raise ValueError(f"{text}: the addresses of a /64 are counted as one")
        return networks


class SessionLimitSettings(BaseModel, frozen=True, extra="forbid"):
    """How many sessions one gateway process holds at once."""

    max_sessions: int = Field(default=4_000, ge=1)
    max_sessions_per_tenant: int = Field(default=1_000, ge=1)
    retry_after_ms: int = Field(default=1_000, ge=1, le=60_000)
    addresses: AddressSettings = AddressSettings()

    @model_validator(mode="after")
    def _limits_agree(self) -> SessionLimitSettings:
        if self.max_sessions_per_tenant > self.max_sessions:
            raise ValueError("max_sessions_per_tenant must not exceed max_sessions")
        return self


def _url_mistakes(url: str) -> list[str]:
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname or "", parts.port
    except ValueError:
        return ["jwks_url is not an address"]
    if parts.scheme not in {"https", "http"} or not host:
        return ["jwks_url must be an https address"]
    mistakes = []
    if parts.scheme == "http" and not _is_loopback(host):
        mistakes.append("jwks_url must be https unless its host is this machine")
    if parts.username is not None or parts.password is not None:
        mistakes.append("jwks_url must not carry a name or password")
    return mistakes


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
