"""Development keys: one pair a machine, private to its user, whoever makes it first."""

from __future__ import annotations

import asyncio
import json
import multiprocessing
import stat
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import aiohttp
import jwt
import pytest

from gateway.admission.settings import TokenSettings
from gateway.admission.tokens import token_verifier
from gateway.dev_keys import (
    DEV_ALGORITHM,
    DEV_AUDIENCE,
    DEV_ISSUER,
    MAX_TTL_S,
    DevClaims,
    DevKeysRefused,
    create_or_load,
    state_directory,
)
from policies.facts import Caller, TokenIdentity

NOW_S = 1_800_000_000


def test_the_second_call_loads_what_the_first_made(tmp_path: Path) -> None:
    directory = tmp_path / "state" / "patchbay"
    first = create_or_load(directory)
    assert create_or_load(directory).jwks() == first.jwks()
    assert [path.name for path in directory.iterdir()] == ["dev-key.pem"]


def test_nobody_else_may_read_the_private_key(tmp_path: Path) -> None:
    directory = tmp_path / "patchbay"
    create_or_load(directory)
    assert stat.S_IMODE(directory.stat().st_mode) == 0o700
    assert stat.S_IMODE((directory / "dev-key.pem").stat().st_mode) == 0o600


def test_a_key_that_others_may_read_is_refused_with_the_remedy(tmp_path: Path) -> None:
    create_or_load(tmp_path)
    (tmp_path / "dev-key.pem").chmod(0o640)
    with pytest.raises(DevKeysRefused, match="chmod 600"):
        create_or_load(tmp_path)


@pytest.mark.parametrize(
    "content", [b"", b"canary", b"-----BEGIN PRIVATE KEY-----\ncanary\n-----END PRIVATE KEY-----\n"]
)
def test_a_file_that_is_no_key_is_refused_and_neither_replaced_nor_shown(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "dev-key.pem"
    path.touch(mode=0o600)
    path.write_bytes(content)
    with pytest.raises(DevKeysRefused, match="remove it") as refusal:
        create_or_load(tmp_path)
    assert "canary" not in str(refusal.value)
    assert path.read_bytes() == content


def _kid(directory: Path) -> str:
    return create_or_load(directory).kid


@pytest.mark.integration
def test_processes_that_race_get_the_same_key(tmp_path: Path) -> None:
    with ProcessPoolExecutor(4, mp_context=multiprocessing.get_context("spawn")) as processes:
        for attempt in range(5):
            kids = list(processes.map(_kid, [tmp_path / str(attempt)] * 4))
            assert len(set(kids)) == 1
            assert [path.name for path in (tmp_path / str(attempt)).iterdir()] == ["dev-key.pem"]


def test_the_published_half_is_public_and_named_by_its_thumbprint(tmp_path: Path) -> None:
    keys = create_or_load(tmp_path)
    (jwk,) = keys.jwks()["keys"]
    assert set(jwk) == {"kty", "crv", "x", "kid", "use", "alg"}
    assert (jwk["kid"], len(keys.kid)) == (keys.kid, 43)
    assert "PRIVATE" not in repr(keys)


def test_a_minted_token_says_who_from_when_until_when(tmp_path: Path) -> None:
    token = create_or_load(tmp_path).mint(DevClaims(tenant="acme", plan="gold"), ttl_s=60, now_s=NOW_S)
    assert jwt.decode(token, options={"verify_signature": False}) == {
        "iss": DEV_ISSUER,
        "aud": DEV_AUDIENCE,
        "sub": "developer",
        "tenant": "acme",
        "plan": "gold",
        "scope": "speech:stream",
        "iat": NOW_S,
        "nbf": NOW_S,
        "exp": NOW_S + 60,
    }


@pytest.mark.parametrize("ttl_s", [0, -1, MAX_TTL_S + 1])
def test_a_token_neither_outlives_a_month_nor_is_born_dead(tmp_path: Path, ttl_s: int) -> None:
    with pytest.raises(ValueError, match="ttl_s must be"):
        create_or_load(tmp_path).mint(DevClaims(), ttl_s=ttl_s, now_s=NOW_S)


@pytest.mark.parametrize("source", ["static_keys", "jwks_file"])
async def test_a_gateway_that_trusts_the_pair_admits_its_tokens(tmp_path: Path, source: str) -> None:
    keys = create_or_load(tmp_path)
    path = tmp_path / "jwks.json"
    path.write_text(json.dumps(keys.jwks()))
    where = {"static_keys": keys.jwks()["keys"]} if source == "static_keys" else {"jwks_file": path}
    issuer = {"issuer": DEV_ISSUER, "audience": DEV_AUDIENCE, "algorithms": [DEV_ALGORITHM]} | where
    async with aiohttp.ClientSession() as http, asyncio.TaskGroup() as tasks:
        verifier = token_verifier(TokenSettings.model_validate({"issuers": [issuer]}), http)
        runner = tasks.create_task(verifier.run())
        claims = DevClaims(tenant="acme", project="p", residency="eu")
        caller = await verifier.verify(keys.mint(claims, ttl_s=60, now_s=NOW_S), now_s=NOW_S)
        runner.cancel()
    token = TokenIdentity("patchbay-dev", "", NOW_S)
    assert caller == Caller("acme", "p", "developer", "", frozenset({"speech:stream"}), "eu", NOW_S + 60, token)


@pytest.mark.parametrize(
    ("environment", "directory"),
    [
        ({"XDG_STATE_HOME": "/var/state", "HOME": "/home/a"}, "/var/state/patchbay"),
        ({"XDG_STATE_HOME": "relative", "HOME": "/home/a"}, "/home/a/.local/state/patchbay"),
        ({"XDG_STATE_HOME": "", "HOME": "/home/a"}, "/home/a/.local/state/patchbay"),
        ({"HOME": "/home/a"}, "/home/a/.local/state/patchbay"),
    ],
)
def test_state_is_kept_where_the_desktop_specification_says(environment: dict[str, str], directory: str) -> None:
    assert state_directory(environment) == Path(directory)
