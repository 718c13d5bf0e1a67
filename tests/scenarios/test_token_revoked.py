"""An operator revokes tokens while sessions run: they end on a real gateway within 5 s, and no new ones begin."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from typing import TYPE_CHECKING

import pytest
from typer.testing import CliRunner

from gateway.cli.app import app
from gateway.cli.connection import ConnectionFailed
from gateway.dev_keys import DevClaims
from gateway.wire.messages import Start
from tests.harness.caller import Caller, calling
from tests.harness.waiting import until, until_true

if TYPE_CHECKING:
    from tests.harness.region import Region

pytestmark = [pytest.mark.integration, pytest.mark.alone]

WITHIN_S = 5.0


def does(region: Region, *arguments: str) -> str:
    """`patchbay token …`, beside the region."""
    done = CliRunner().invoke(app, ["token", *arguments], env=region.environment)
    assert done.exit_code == 0, done.output
    return done.stdout


def token_of(region: Region, tenant: str, jti: str) -> str:
    return region.keys.mint(DevClaims(tenant=tenant, jti=jti), ttl_s=600, now_s=int(time.time()))


async def begun(caller: Caller) -> None:
    await caller.start(Start())
    await caller.until_started()


async def reason_of_refusal(region: Region, token: str, protocol: str) -> str:
    """Why a new session is refused; empty if it is not."""
    try:
        async with calling(region, protocol, token=token) as caller:
            with contextlib.suppress(ConnectionFailed):
                await caller.start(Start())
            await until(lambda: caller.started or caller.is_over, what="an answer")
            return str(caller.failure or "") if caller.error is None else caller.error.reason
    except ConnectionFailed as failed:
        return str(failed)


async def test_sessions_of_revoked_tokens_end_within_five_seconds(region: Region) -> None:
    """Of tenants that no other test has: the region is shared."""
    one, other = token_of(region, "untrusted", "revoked-a"), token_of(region, "untrusted", "revoked-b")
    async with (
        calling(region, "ws", token=one) as first,
        calling(region, "grpc", token=other) as second,
        calling(region, "ws", token=token_of(region, "trusted", "c")) as unconcerned,
    ):
        for caller in (first, second, unconcerned):
            await begun(caller)
        await asyncio.to_thread(does, region, "revoke", "--jti", "revoked-a")
        revoked_at_s = time.monotonic()
        await first.until_over(within_s=WITHIN_S)
        by_name_s = time.monotonic() - revoked_at_s
        assert not second.is_over
        made = json.loads(await asyncio.to_thread(does, region, "revoke", "--tenant", "untrusted", "--json"))
        revoked_at_s = time.monotonic()
        await second.until_over(within_s=WITHIN_S)
        print(f"ended {by_name_s:.2f} s and {time.monotonic() - revoked_at_s:.2f} s after the command")
        assert [caller.error and caller.error.reason for caller in (first, second)] == ["token_revoked"] * 2
        assert not unconcerned.is_over
    for protocol in ("ws", "grpc"):
        assert "token_revoked" in await reason_of_refusal(region, other, protocol)
    await asyncio.to_thread(does, region, "revocations", "undo", made["id"])

    async def is_admitted() -> bool:
        return await reason_of_refusal(region, other, "ws") == ""

    await until_true(is_admitted, within_s=WITHIN_S, what="the undoing")
    assert "token_revoked" in await reason_of_refusal(region, one, "ws")
