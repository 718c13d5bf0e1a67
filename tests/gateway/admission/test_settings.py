"""Wrong settings are refused before anything starts, all mistakes at once, without showing a secret."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from gateway.admission.settings import (
    ClaimNames,
    IssuerSettings,
    KeyRefreshSettings,
    SessionLimitSettings,
    TokenSettings,
)

pytestmark = pytest.mark.unit

GOOD = {"issuer": "https://issuer.example/", "audience": "patchbay"}
SECRET = "canary-secret-of-32-bytes-or-more!"
SHARED = {"algorithms": ["HS256"], "shared_secrets": [{"kid": "s1", "value": SECRET}]}


@pytest.mark.parametrize(
    "source",
    [
        {"jwks_url": "https://issuer.example/keys.json"},
        {"jwks_url": "http://127.0.0.1:8080/keys.json"},
        {"jwks_url": "http://[::1]:8080/keys.json"},
        {"jwks_url": "http://localhost/keys.json"},
        {"jwks_file": "/etc/patchbay/keys.json"},
        SHARED,
    ],
)
def test_an_issuer_has_one_source_of_keys(source: dict[str, Any]) -> None:
    IssuerSettings.model_validate(GOOD | source)


def test_the_defaults_are_those_of_the_documentation() -> None:
    settings = TokenSettings.model_validate({"issuers": [GOOD | {"jwks_file": "keys.json"}]})
    issuer = settings.issuers[0]
    assert (issuer.algorithms, issuer.requires_nbf) == (("RS256", "ES256", "EdDSA"), True)
    assert (settings.required_scopes, settings.leeway_s, settings.max_token_bytes) == (("speech:stream",), 30, 8_192)
    assert settings.claims.model_dump() == dict(zip(ClaimNames.model_fields, ClaimNames.model_fields, strict=True))
    keys = settings.keys
    assert (keys.fresh_for_s, keys.stale_for_s, keys.min_refresh_interval_s) == (300, 86_400, 10)


@pytest.mark.parametrize(
    ("change", "mistake"),
    [
        ({}, "exactly one of"),
        ({"jwks_url": "https://a.example/k", "jwks_file": "k"}, "exactly one of"),
        ({"jwks_url": "http://issuer.example/keys.json"}, "must be https"),
        ({"jwks_url": "http://127.0.0.1.evil.example/keys.json"}, "must be https"),
        ({"jwks_url": "ftp://127.0.0.1/keys.json"}, "https address"),
        ({"jwks_url": "https:///keys.json"}, "https address"),
        ({"jwks_url": "https://[::1/keys.json"}, "not an address"),
        ({"jwks_url": "https://user:pass@issuer.example/keys.json"}, "name or password"),
        ({"jwks_file": "k", "algorithms": ["HS256"]}, "HS256 needs shared_secrets"),
        ({"jwks_file": "k", "algorithms": ["none"]}, "Input should be"),
        ({"jwks_file": "k", "algorithms": []}, "at least 1"),
        (SHARED | {"algorithms": ["HS256", "RS256"]}, "cannot be mixed"),
        (SHARED | {"algorithms": ["RS256"]}, "shared_secrets need"),
        (SHARED | {"jwks_file": "k"}, "exactly one of"),
        (SHARED | {"shared_secrets": SHARED["shared_secrets"] * 2}, "its own kid"),
        ({"static_keys": [{"kty": "oct", "kid": "a", "k": "AAAA"}]}, "symmetric"),
    ],
)
def test_an_issuer_that_contradicts_itself_is_refused(change: dict[str, Any], mistake: str) -> None:
    with pytest.raises(ValidationError, match=mistake):
        IssuerSettings.model_validate(GOOD | change)


def test_every_mistake_is_listed_at_once() -> None:
    with pytest.raises(ValidationError) as refusal:
        TokenSettings.model_validate(
            {
                "issuers": [GOOD | {"jwks_url": "http://a.example/k", "algorithms": ["HS256", "ES256"]}],
                "leeway_s": 301,
                "max_token_bytes": 1,
                "surprise": 1,
            }
        )
    text = str(refusal.value)
    for mistake in ("must be https", "cannot be mixed", "HS256 needs", "leeway_s", "max_token_bytes", "surprise"):
        assert mistake in text


def test_one_issuer_cannot_be_given_twice() -> None:
    with pytest.raises(ValidationError, match="given twice"):
        TokenSettings.model_validate({"issuers": [GOOD | {"jwks_file": "a"}, GOOD | {"jwks_file": "b"}]})


@pytest.mark.parametrize("secret", ["canary", "canary-" * 4])
def test_a_wrong_secret_is_not_shown_in_the_mistake(secret: str) -> None:
    with pytest.raises(ValidationError) as refusal:
        TokenSettings.model_validate(
            {"issuers": [GOOD | {"algorithms": ["HS256"], "shared_secrets": [{"kid": "s", "value": secret}]}]}
        )
    assert "at least 32 bytes" in str(refusal.value)
    assert "canary" not in str(refusal.value)


def test_secrets_print_as_stars() -> None:
    settings = TokenSettings.model_validate({"issuers": [GOOD | SHARED]})
    assert "canary" not in repr(settings) + str(settings) + settings.model_dump_json()


@pytest.mark.parametrize(
    ("model", "values"),
    [
        (KeyRefreshSettings, {"fresh_for_s": 60, "stale_for_s": 30}),
        (KeyRefreshSettings, {"fresh_for_s": 5, "min_refresh_interval_s": 10}),
        (SessionLimitSettings, {"max_sessions": 5, "max_sessions_per_tenant": 6}),
    ],
)
def test_limits_that_belong_together_agree(model: Any, values: dict[str, int]) -> None:
    with pytest.raises(ValidationError, match="must not exceed"):
        model.model_validate(values)
