"""Keys of an issuer over time: rotation, staleness, outage, floods. The server is real, the clock is the test's."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest
from aiohttp import web

from gateway.admission.jwks import FixedKeys, IssuerKeys, RotatingKeys, keys_of
from gateway.admission.keys import ASYMMETRIC_ALGORITHMS, VerificationKey
from gateway.admission.settings import IssuerSettings, KeyRefreshSettings
from gateway.errors import Reason, Unavailable

if TYPE_CHECKING:
    from pathlib import Path

    import aiohttp

REFRESH = KeyRefreshSettings(fresh_for_s=300, stale_for_s=3_600, min_refresh_interval_s=10, max_waiting=50)

Running = Callable[..., AbstractAsyncContextManager[RotatingKeys]]


@pytest.fixture
def clock(kit: Any) -> Any:
    return kit.Clock()


@pytest.fixture
def running(key_server: Any, http: aiohttp.ClientSession, clock: Any) -> Running:
    """Keys of the test's server, kept up to date while the block runs."""

    @asynccontextmanager
    async def run(**changes: Any) -> AsyncIterator[RotatingKeys]:
        issuer = IssuerSettings(
            issuer="i", audience="a", algorithms=tuple(sorted(ASYMMETRIC_ALGORITHMS)), jwks_url=key_server.url
        )
        keys = keys_of(issuer, REFRESH.model_copy(update=changes), http, monotonic_s=clock)
        assert isinstance(keys, RotatingKeys)
        async with asyncio.TaskGroup() as tasks:
            runner = tasks.create_task(keys.run())
            yield keys
            runner.cancel()

    return run


async def _is_unavailable(keys: IssuerKeys, kid: str) -> bool:
    try:
        await keys.find(kid)
    except Unavailable as refusal:
        return refusal.reason is Reason.keys_unavailable and (refusal.retry_after_ms or 0) > 0
    return False


async def test_the_first_callers_wait_for_one_read(key_server: Any, running: Running, signers: dict[str, Any]) -> None:
    key_server.serve_keys(signers["ES256"])
    async with running() as keys:
        found = await asyncio.gather(*(keys.find("key-ES256") for _ in range(20)))
    assert {key.kid for key in found if key} == {"key-ES256"}
    assert key_server.num_requests == 1


async def test_a_known_key_needs_no_wait(key_server: Any, running: Running, signers: dict[str, Any]) -> None:
    key_server.serve_keys(signers["ES256"])
    async with running() as keys:
        found = await keys.find("key-ES256")
        key_server.fail()
        assert isinstance(found, VerificationKey)
        assert keys.known("key-ES256") is found
    assert key_server.num_requests == 1


async def test_a_new_key_is_found_at_its_first_token(
    key_server: Any, running: Running, clock: Any, signers: dict[str, Any]
) -> None:
    key_server.serve_keys(signers["ES256"])
    async with running() as keys:
        await keys.find("key-ES256")
        key_server.serve_keys(signers["ES256"], signers["EdDSA"])
        clock.now_s += REFRESH.min_refresh_interval_s
        found = await keys.find("key-EdDSA")
        assert found is not None
        assert found.algorithm == "EdDSA"
        assert keys.known("key-ES256") is not None


async def test_a_flood_of_unknown_keys_costs_one_read_an_interval(
    key_server: Any, running: Running, clock: Any, signers: dict[str, Any]
) -> None:
    key_server.serve_keys(signers["ES256"])
    num_intervals = 5
    async with running(max_waiting=1_000) as keys:
        await keys.find("key-ES256")
        for interval in range(num_intervals):
            clock.now_s += REFRESH.min_refresh_interval_s
            unknown = await asyncio.gather(*(keys.find(f"unknown-{interval}-{i}") for i in range(500)))
            assert unknown == [None] * 500
            assert await keys.find("key-ES256") is not None
    assert key_server.num_requests == 1 + num_intervals


async def test_within_the_interval_an_unknown_key_is_refused_without_a_wait(
    key_server: Any, running: Running, clock: Any, signers: dict[str, Any]
) -> None:
    key_server.serve_keys(signers["ES256"])
    async with running() as keys:
        await keys.find("key-ES256")
        clock.now_s += REFRESH.min_refresh_interval_s - 1
        assert await keys.find("key-EdDSA") is None
    assert key_server.num_requests == 1


async def test_stale_keys_serve_at_once_while_they_are_read_again(
    key_server: Any, running: Running, clock: Any, signers: dict[str, Any], kit: Any
) -> None:
    key_server.serve_keys(signers["ES256"])
    async with running() as keys:
        await keys.find("key-ES256")
        may_answer = asyncio.Event()

        async def answer_late(_: web.Request) -> web.Response:
            await may_answer.wait()
            key_server.serve_keys(signers["EdDSA"])
            return key_server.respond(_)

        key_server.respond = answer_late
        clock.now_s += REFRESH.fresh_for_s
        assert keys.known("key-ES256") is not None
        await kit.until(lambda: key_server.num_requests == 2)
        assert keys.known("key-ES256") is not None
        may_answer.set()
        await kit.until(lambda: keys.known("key-EdDSA") is not None)
        assert keys.known("key-ES256") is None
    assert key_server.num_requests == 2


async def test_keys_are_read_again_in_time_without_any_caller(
    key_server: Any, running: Running, signers: dict[str, Any], kit: Any
) -> None:
    key_server.serve_keys(signers["ES256"])
    async with running(fresh_for_s=1, min_refresh_interval_s=1):
        await kit.until(lambda: key_server.num_requests >= 2)


async def test_in_an_outage_the_last_keys_serve_until_they_are_too_old(
    key_server: Any, running: Running, clock: Any, signers: dict[str, Any], kit: Any
) -> None:
    key_server.serve_keys(signers["ES256"])
    async with running() as keys:
        await keys.find("key-ES256")
        key_server.fail()
        clock.now_s += REFRESH.stale_for_s - 1
        assert await keys.find("key-ES256") is not None
        await kit.until(lambda: key_server.num_requests == 2)
        clock.now_s += 1
        assert keys.known("key-ES256") is None
        assert await _is_unavailable(keys, "key-ES256")


async def test_an_issuer_that_comes_back_is_believed_at_the_next_interval(
    key_server: Any, running: Running, clock: Any, signers: dict[str, Any]
) -> None:
    async with running() as keys:
        assert await _is_unavailable(keys, "key-ES256")
        key_server.serve_keys(signers["ES256"])
        assert await _is_unavailable(keys, "key-ES256")
        assert key_server.num_requests == 1
        clock.now_s += REFRESH.min_refresh_interval_s
        assert await keys.find("key-ES256") is not None


async def test_while_an_issuer_cannot_be_read_no_key_is_called_unknown(
    key_server: Any, running: Running, clock: Any, signers: dict[str, Any]
) -> None:
    key_server.serve_keys(signers["ES256"])
    async with running() as keys:
        assert await keys.find("key-EdDSA") is None
        key_server.fail()
        clock.now_s += REFRESH.min_refresh_interval_s
        assert await _is_unavailable(keys, "key-EdDSA")
        assert await keys.find("key-ES256") is not None


async def test_advice_to_come_again_names_the_next_possible_read(key_server: Any, running: Running, clock: Any) -> None:
    async with running() as keys:
        await _is_unavailable(keys, "k")
        clock.now_s += 4
        with pytest.raises(Unavailable) as refusal:
            await keys.find("k")
    assert refusal.value.retry_after_ms == 6_000


@pytest.mark.parametrize("body", ["<html>maintenance</html>", '{"error":"later"}', '{"keys":[{},{},{},{}]}'])
async def test_a_document_that_is_no_key_set_does_not_replace_one(
    key_server: Any, running: Running, clock: Any, signers: dict[str, Any], kit: Any, body: str
) -> None:
    key_server.serve_keys(signers["ES256"])
    async with running(max_keys=3) as keys:
        await keys.find("key-ES256")
        key_server.respond = lambda _: web.Response(text=body, headers={"ETag": '"bad"'})
        clock.now_s += REFRESH.fresh_for_s
        keys.known("key-ES256")
        await kit.until(lambda: key_server.num_requests == 2)
        assert await _is_unavailable(keys, "other")
        assert keys.known("key-ES256") is not None


async def test_a_version_is_only_known_once_it_was_understood(
    key_server: Any, running: Running, clock: Any, signers: dict[str, Any]
) -> None:
    key_server.respond = lambda _: web.Response(text="oops", headers={"ETag": '"v1"'})
    async with running() as keys:
        assert await _is_unavailable(keys, "key-ES256")
        key_server.serve_keys(signers["ES256"], ETag='"v1"')
        clock.now_s += REFRESH.min_refresh_interval_s
        assert await keys.find("key-ES256") is not None
        clock.now_s += REFRESH.min_refresh_interval_s
        await keys.find("unknown")
    assert [headers.get("If-None-Match") for headers in key_server.headers] == [None, None, '"v1"']


async def test_keys_that_did_not_change_are_fresh_again(
    key_server: Any, running: Running, clock: Any, signers: dict[str, Any], kit: Any
) -> None:
    key_server.serve_keys(signers["ES256"], ETag='"v1"')
    async with running() as keys:
        await keys.find("key-ES256")
        key_server.fail(304)
        clock.now_s += REFRESH.stale_for_s - 1
        keys.known("key-ES256")
        await kit.until(lambda: key_server.num_requests == 2)
        assert await keys.find("unknown") is None
        clock.now_s += REFRESH.stale_for_s - 1
        assert keys.known("key-ES256") is not None


async def test_an_issuer_that_withdraws_every_key_is_obeyed(
    key_server: Any, running: Running, clock: Any, signers: dict[str, Any]
) -> None:
    key_server.serve_keys(signers["ES256"])
    async with running() as keys:
        await keys.find("key-ES256")
        key_server.serve_keys()
        clock.now_s += REFRESH.min_refresh_interval_s
        assert await keys.find("unknown") is None
        assert keys.known("key-ES256") is None


async def test_a_slow_issuer_holds_up_only_so_many_callers(
    key_server: Any, running: Running, signers: dict[str, Any], kit: Any
) -> None:
    may_answer = asyncio.Event()

    async def answer_late(request: web.Request) -> web.Response:
        await may_answer.wait()
        key_server.serve_keys(signers["ES256"])
        return key_server.respond(request)

    key_server.respond = answer_late
    async with running(max_waiting=3) as keys, asyncio.TaskGroup() as tasks:
        callers = [tasks.create_task(_is_unavailable(keys, "key-ES256")) for _ in range(10)]
        await kit.until(lambda: sum(caller.done() for caller in callers) == 7)
        may_answer.set()
    assert [caller.result() for caller in callers] == [False] * 3 + [True] * 7
    assert key_server.num_requests == 1


async def test_a_slow_issuer_holds_callers_up_for_only_so_long(key_server: Any, running: Running) -> None:
    is_over = asyncio.Event()
    key_server.respond = lambda _: is_over.wait()
    async with running(fetch_timeout_ms=200) as keys, asyncio.timeout(60):
        outcomes = await asyncio.gather(*(_is_unavailable(keys, f"k{i}") for i in range(10)))
        assert outcomes == [True] * 10
        is_over.set()
    assert key_server.num_requests == 1


async def test_without_its_runner_a_caller_is_not_kept_waiting(http: aiohttp.ClientSession, key_server: Any) -> None:
    issuer = IssuerSettings(issuer="i", audience="a", jwks_url=key_server.url)
    keys = keys_of(issuer, REFRESH.model_copy(update={"fetch_timeout_ms": 20}), http)
    assert await _is_unavailable(keys, "k")


async def test_keys_in_a_file_rotate_too(
    tmp_path: Path, http: aiohttp.ClientSession, clock: Any, signers: dict[str, Any]
) -> None:
    import json

    path = tmp_path / "keys.json"
    path.write_text(json.dumps({"keys": [signers["ES256"].jwk]}))
    keys = keys_of(IssuerSettings(issuer="i", audience="a", jwks_file=path), REFRESH, http, monotonic_s=clock)
    async with asyncio.TaskGroup() as tasks:
        runner = tasks.create_task(keys.run())
        assert await keys.find("key-ES256") is not None
        path.write_text(json.dumps({"keys": [signers["EdDSA"].jwk]}))
        clock.now_s += REFRESH.min_refresh_interval_s
        assert await keys.find("key-EdDSA") is not None
        assert await keys.find("key-ES256") is None
        runner.cancel()


async def test_keys_in_the_settings_never_change(http: aiohttp.ClientSession, signers: dict[str, Any]) -> None:
    fixed = keys_of(IssuerSettings(issuer="i", audience="a", static_keys=(signers["ES256"].jwk,)), REFRESH, http)
    assert isinstance(fixed, FixedKeys)
    await fixed.run()
    assert fixed.known("key-ES256") is not None
    assert await fixed.find("key-ES256") is fixed.known("key-ES256")
    assert await fixed.find("other") is None
