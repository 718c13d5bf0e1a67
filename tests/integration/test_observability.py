"""What operators see of a region: health, metrics that move, logs that say what happened and never what was said."""

from __future__ import annotations

import contextlib
import hashlib
import os
import signal
from typing import TYPE_CHECKING

import aiohttp
import pytest

from gateway.cli.connection import ConnectionFailed
from gateway.wire.messages import Start
from tests.harness.caller import calling, start_of, transcribe
from tests.harness.metrics import Figures, scrape
from tests.harness.ready import ask, is_ready, readiness
from tests.harness.recordings import pcm_of, pieces_of, transcripts
from tests.harness.region import stopped
from tests.harness.waiting import until_true

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.harness.region import Region

pytestmark = pytest.mark.integration

NAME = "digits_rms.wav"
PIECES = pieces_of(pcm_of(NAME))
CANARY_TENANT = "canary-tenant-7f3a"

DOCUMENTED = {
    "patchbay_sessions",
    "patchbay_sessions_opened_total",
    "patchbay_sessions_closed_total",
    "patchbay_engines_lost_total",
    "patchbay_audio_seconds_total",
    "patchbay_compute_seconds_total",
    "patchbay_audio_messages_total",
    "patchbay_audio_bytes_total",
    "patchbay_partials_replaced_total",
    "patchbay_open_seconds_count",
    "patchbay_first_partial_seconds_count",
    "patchbay_finalisation_seconds_count",
    "patchbay_migration_pause_seconds_count",
    "patchbay_session_audio_seconds_count",
    "patchbay_real_time_factor_count",
    "patchbay_held_audio_seconds",
    "patchbay_client_queue_messages",
    "patchbay_waiting_bytes",
    "patchbay_event_loop_lag_seconds",
    "patchbay_engine_slots",
    "patchbay_engine_slots_used",
    "patchbay_engine_queued_audio_ms",
    "patchbay_engine_step_p50_us",
    "patchbay_engine_busy_permille",
}


# --- health -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
async def test_health_stands_on_the_public_port_and_on_the_private_one(region: Region, path: str) -> None:
    for base in (region.http, region.admin):
        answer = await ask(base + path)
        assert answer is not None
        assert answer.status == 200


async def test_metrics_stand_on_the_private_port_alone(region: Region) -> None:
    async with aiohttp.ClientSession() as http, http.get(f"{region.http}/metrics") as response:
        assert response.status == 404


async def test_a_gateway_without_an_engine_is_healthy_and_not_ready(new_region: Callable[..., Region]) -> None:
    region = new_region("--scripted", engines__link__liveness_ms=500)
    with stopped(region.engine_pids[0]):

        async def has_no_engine() -> bool:
            answer = await readiness(region)
            return answer is not None and answer.status == 503 and answer.body["reasons"] == ["no_engine"]

        await until_true(has_no_engine, what="503 from /readyz")
        health = await ask(f"{region.admin}/healthz")
        assert health is not None
        assert health.status == 200
    await until_true(lambda: is_ready(region), what="readiness")


# --- metrics ------------------------------------------------------------------------------------------------


async def test_every_documented_metric_is_on_the_page(region: Region) -> None:
    await transcribe(region, PIECES)
    assert (await scrape(region)).names >= DOCUMENTED


@pytest.mark.parametrize("protocol", ["ws", "grpc"])
async def test_a_session_moves_the_metrics(region: Region, protocol: str) -> None:
    transport = {"ws": "websocket", "grpc": "grpc"}[protocol]
    before = await scrape(region)
    caller = await transcribe(region, PIECES, protocol=protocol)
    assert caller.is_finished
    after = await scrape(region)

    def moved(name: str, **labels: str) -> float:
        return after(name, **labels) - before(name, **labels)

    assert moved("patchbay_sessions_opened_total", transport=transport) == 1
    assert moved("patchbay_sessions_closed_total", transport=transport, reason="finished") == 1
    assert moved("patchbay_audio_messages_total") == len(PIECES)
    assert moved("patchbay_audio_bytes_total") == sum(map(len, PIECES))
    assert moved("patchbay_audio_seconds_total") == pytest.approx(sum(map(len, PIECES)) / 32_000, abs=0.002)
    assert moved("patchbay_compute_seconds_total") > 0
    for name in ("open", "first_partial", "finalisation", "session_audio"):
        assert moved(f"patchbay_{name}_seconds_count") == 1, name
    assert moved("patchbay_real_time_factor_count") == 1


async def test_gauges_show_a_session_while_it_lives(region: Region) -> None:
    async with calling(region) as caller:
        await caller.start()
        await caller.until_started()
        await caller.say_all(PIECES[:20])

        async def is_seen() -> bool:
            figures = await scrape(region)
            return (
                figures("patchbay_sessions") == 1
                and figures("patchbay_engine_slots_used") == 1
                and figures("patchbay_held_audio_seconds") == 2.0
            )

        await until_true(is_seen, what="the session on the page")

    async def is_gone() -> bool:
        figures = await scrape(region)
        return figures("patchbay_sessions") == figures("patchbay_held_audio_seconds") == 0

    await until_true(is_gone, what="its end")


async def test_a_refusal_is_counted_by_its_reason(region: Region) -> None:
    before = await scrape(region)
    with pytest.raises(ConnectionFailed):
        async with calling(region, token="nonsense"):
            pass
    await transcribe(region, [], start=start_of("cassette"))
    after = await scrape(region)
    for reason in ("token_malformed", "bad_audio_format"):
        labels = {"transport": "websocket", "reason": reason}
        name = "patchbay_sessions_closed_total"
        assert after(name, **labels) - before(name, **labels) == 1


async def test_the_loss_of_an_engine_is_counted(new_region: Callable[..., Region]) -> None:
    region = new_region()
    async with calling(region) as caller:
        await caller.start()
        await caller.say_all(PIECES[:20])
        await caller.until_started()
        os.kill(region.engine_pids[0], signal.SIGKILL)
        await caller.say_all(PIECES[20:])
        await caller.finish()
        await caller.until_over()
    figures = await scrape(region)
    assert figures("patchbay_engines_lost_total", reason="link_lost") == 1
    assert figures("patchbay_migration_pause_seconds_count") == 1


async def test_no_label_holds_what_a_client_chose(region: Region) -> None:
    """Labels are enums of ours: a client cannot make metrics without end."""
    await transcribe(region, [], start=Start(model="my-own-model", language="xx-canary"))
    figures: Figures = await scrape(region)
    assert not {value for value in figures.label_values if "my-own-model" in value or "canary" in value}


# --- logs ---------------------------------------------------------------------------------------------------


async def test_a_session_is_opened_routed_and_closed_in_the_log(region: Region) -> None:
    caller = await transcribe(region, PIECES)
    assert caller.is_finished
    session = caller.heard[0].message.session_id  # type: ignore[union-attr]
    rows = [row for row in region.log_rows() if row.get("session") == session]
    assert [row["event"] for row in rows] == ["session.opened", "session.routed", "session.closed"]
    assert {row["tenant"] for row in rows} == {hashlib.sha256(b"dev").hexdigest()[:12]}
    assert {row["region"] for row in rows} == {"local"}
    assert rows[0]["transport"] == "websocket"
    closed = rows[-1]
    assert (closed["reason"], closed["audio_ms"], closed["engines"]) == ("finished", sum(map(len, PIECES)) // 32, 1)
    assert closed["first_partial_ms"] >= 0
    assert all({"level", "timestamp", "event"} <= set(row) for row in region.log_rows())


async def test_logs_never_say_who_spoke_what_or_with_which_token(new_region: Callable[..., Region]) -> None:
    region = new_region(log_level="debug")
    token = region.token(tenant=CANARY_TENANT)
    for protocol in ("ws", "grpc"):
        async with calling(region, protocol, token=token) as caller:
            await caller.start()
            await caller.say_all(PIECES)
            await caller.finish()
            await caller.until_over()
        assert caller.text == transcripts()[NAME]
        with contextlib.suppress(ConnectionFailed):
            async with calling(region, protocol, token=token + "x") as caller:
                await caller.start()
                await caller.until_over()
        faulty = await transcribe(region, [b"canary-audio-" * 5], protocol=protocol, start=start_of("pcm_f32le"))
        assert faulty.error is not None
    async with calling(region, token=token) as caller:
        await caller.start(Start(model="canary-model", language="canary-language"))
        await caller.until_over()
    async with aiohttp.ClientSession() as http, http.get(f"{region.http}/v1/stream?token={token}x") as response:
        assert response.status == 401
    os.kill(region.engine_pids[0], signal.SIGKILL)
    text = region.log_text()
    assert region.events("session.closed")
    assert CANARY_TENANT not in text
    for part in token.split("."):
        assert part not in text
    assert "127.0.0.1" not in text
    for word in ("canary-audio", "seven six five", "nine eight"):
        assert word not in text
    spoken = set(transcripts()[NAME].split())
    said = {word for row in region.log_rows() for value in row.values() for word in str(value).split()}
    assert not spoken & said


async def test_every_line_of_a_log_is_json(region: Region) -> None:
    assert all(isinstance(row, dict) for row in region.log_rows())
