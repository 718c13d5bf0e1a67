"""A machine is taken away: EC2 says so to its engine, and the sessions there have moved before it goes.

The short form is part of `make test`; the long one (--long) has a hundred sessions and the 30 s that unproven notices
count for. Those that find no slot elsewhere keep theirs until the engine hands them back, and are told why they end.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from gateway.cli.connection import ConnectionFailed
from gateway.wire.messages import Migrated
from tests.harness.caller import calling, transcribe
from tests.harness.engine import running_engine
from tests.harness.figures import quantile
from tests.harness.metadata_servers import AwsReplay
from tests.harness.metrics import has_no_sessions
from tests.harness.recordings import pieces_of, talk
from tests.harness.waiting import until, until_true

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.harness.caller import Caller
    from tests.harness.region import Region

pytestmark = [pytest.mark.integration, pytest.mark.timeout(240), pytest.mark.alone]

MOVED_WITHIN_S = 10.0
TOO_MANY = 2


@dataclass(frozen=True, slots=True)
class Form:
    sessions: int
    notice_s: float
    talk_ms: int
    recovery_ms: int


SHORT = Form(sessions=20, notice_s=4.0, talk_ms=5_500, recovery_ms=2_000)
LONG = Form(sessions=100, notice_s=30.0, talk_ms=30_000, recovery_ms=5_000)


def folder_in(folder: Path, name: str) -> Path:
    made = folder / name
    made.mkdir()
    return made


async def session(region: Region, number: int, pieces: list[bytes]) -> Caller:
    async with calling(region, ("ws", "grpc")[number % 2]) as caller:
        await caller.start()
        await caller.until_started()
        with contextlib.suppress(ConnectionFailed):
            await caller.say_all(pieces, speed=1.0)
            await caller.finish()
        await caller.until_over(within_s=30)
    return caller


async def test_sessions_have_left_before_the_machine_goes_and_who_finds_no_slot_hears_why(
    new_region: Callable[..., Region], tmp_path: Path, is_long: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    form = LONG if is_long else SHORT
    pieces = pieces_of(talk(7, duration_ms=form.talk_ms))
    region = new_region(
        "--scripted", "--slots", "1", sessions__liveness_ms=2_000, sessions__recovery__timeout_ms=form.recovery_ms
    )
    undisturbed = (await transcribe(region, pieces)).words
    imds = AwsReplay()
    alike = (
        *("--recogniser", "scripted", "--busy-permille", "0", "--replay-share-permille", "1000"),
        *("--register", str(region.ready["redis"]), "--region", "local"),
    )
    async with (
        imds.serving(),
        running_engine(folder_in(tmp_path, "reserved"), *alike, "--slots", str(form.sessions - 1)),
        running_engine(
            folder_in(tmp_path, "spot"),
            *(*alike, "--capacity", "spot", "--slots", str(8 * form.sessions)),
            *("--preemption", "aws", "--preemption-endpoint", imds.endpoint, "--preemption-poll-ms", "100"),
        ) as engine,
    ):
        await until(lambda: bool(region.events("link.connected")[2:]), what="links to all engines")
        talking = [asyncio.create_task(session(region, number, pieces)) for number in range(form.sessions + TOO_MANY)]

        async def used() -> int:
            return (await engine.describe()).load.slots_used

        async def all_are_here() -> bool:
            return len(region.events("session.opened")) >= form.sessions + TOO_MANY + 1

        await until_true(all_are_here, within_s=20, what="all sessions")
        on_spot = await used()
        imds.interrupt("terminate", in_s=form.notice_s)
        told_at_s = time.monotonic()
        exit_code = await asyncio.wait_for(engine.process.wait(), form.notice_s)
        left_after_s = time.monotonic() - told_at_s
        callers = await asyncio.gather(*talking)

    moved = [caller for caller in callers if caller.migrations]
    refused = [caller for caller in callers if caller.error is not None]
    moved_after_s = [
        heard.at_s - told_at_s for caller in moved for heard in caller.heard if isinstance(heard.message, Migrated)
    ]
    with capsys.disabled():
        print(
            f"\nnotice of {form.notice_s:.0f} s, {len(callers)} sessions, {on_spot} of them there: {len(moved)} moved, "
            f"p50 {quantile(moved_after_s, 0.5):.2f} s, the last after {max(moved_after_s):.2f} s; "
            f"{len(refused)} refused; the engine was gone after {left_after_s:.1f} s"
        )
    assert exit_code == 0
    assert on_spot > form.sessions // 2
    assert max(moved_after_s) <= min(MOVED_WITHIN_S, form.notice_s)
    assert {len(caller.migrations) for caller in moved} == {1}
    assert all(caller.words == undisturbed for caller in callers if caller.error is None)
    assert all(migrated.pause_elapsed_ms == 0 for caller in moved for migrated in caller.migrations)
    assert len(refused) == TOO_MANY
    told = {(caller.error.reason, caller.error.retryable) for caller in refused if caller.error}
    assert told == {("engine_unavailable", True)}
    assert all("no other one has a free slot" in caller.error.message for caller in refused if caller.error)
    assert all(caller.error.retry_after_ms for caller in refused if caller.error)
    await until_true(lambda: has_no_sessions(region), what="the end of all sessions")
