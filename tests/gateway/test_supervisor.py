"""A whole region under supervision: what dies comes back where it was, and nothing outlives the supervisor."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
from pathlib import Path
from typing import TYPE_CHECKING, Any

import aiohttp
import psutil
import pytest

from gateway.dev_certificates import create_or_renew
from gateway.dev_keys import DEV_ALGORITHM, DEV_AUDIENCE, DEV_ISSUER, create_or_load
from gateway.region_plan import EnginePlan, RegionPlan, webtransport_secret_file
from gateway.running_regions import newest
from gateway.supervisor import ChildFailed, RegionFailed, Supervisor
from tests.harness.region import is_gone, start_region, wait_until_gone
from tests.harness.waiting import until, until_true

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

pytestmark = pytest.mark.integration

READY_S = 120
SCRIPTED = ["--recogniser", "scripted", "--slots", "4"]


def plan_of(
    state: Path, *, engines: int = 1, arguments: list[str] | None = None, config: Path | None = None, **changes: Any
) -> RegionPlan:
    issuer = {
        "issuer": DEV_ISSUER,
        "audience": DEV_AUDIENCE,
        "algorithms": [DEV_ALGORITHM],
        "static_keys": create_or_load(state).jwks()["keys"],
    }
    settings = {"tokens__issuers": [issuer], "http__port": 0, "grpc__port": 0, "admin__port": 0, "drain__finish_ms": 0}
    plan = EnginePlan(engines, "local", SCRIPTED if arguments is None else arguments)
    return RegionPlan("here", plan, settings | changes, config, state, state / "region.log")


class Running:
    """A supervisor in this process, its real children, and the note that it keeps."""

    def __init__(self, state: Path, supervisor: Supervisor, ready: dict[str, Any]) -> None:
        self.state = state
        self.supervisor = supervisor
        self.ready = ready

    @property
    def note(self) -> dict[str, Any]:
        note = newest(self.state)
        assert note is not None
        return note

    @property
    def engine_pids(self) -> list[int]:
        return [engine["pid"] for engine in self.note["engines"]]

    async def is_serving(self) -> bool:
        async with aiohttp.ClientSession() as http:
            try:
                async with http.get(f"{self.ready['http']}/readyz") as response:
                    return response.ok
            except aiohttp.ClientError:
                return False


@contextlib.asynccontextmanager
async def running(plan: RegionPlan) -> AsyncIterator[Running]:
    supervisor = Supervisor(plan)
    said: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
    task = asyncio.create_task(supervisor.run(said.put_nowait))
    try:
        async with asyncio.timeout(READY_S):
            yield Running(plan.state_directory, supervisor, await said.get())
    finally:
        supervisor.stop()
        async with asyncio.timeout(READY_S):
            await task


def sockets_of(engine_pid: int) -> Path:
    """The folder of an engine's socket."""
    command = psutil.Process(engine_pid).cmdline()
    return Path(command[command.index("--listen") + 1].removeprefix("unix:")).parent


def names_in(folder: Path) -> set[str]:
    """None where there is no such folder."""
    return {path.name for path in folder.glob("*")}


def children() -> set[int]:
    return {child.pid for child in psutil.Process().children(recursive=True)}


async def failure_of(plan: RegionPlan) -> RegionFailed:
    before = children()
    with pytest.raises(RegionFailed) as failure:
        async with asyncio.timeout(READY_S):
            await Supervisor(plan).run(lambda ready: pytest.fail(f"it started: {ready}"))
    assert children() - before == set()
    assert newest(plan.state_directory) is None
    return failure.value


# --- up and down ------------------------------------------------------------------------------------------------


async def test_when_it_says_that_it_is_ready_it_serves_and_is_announced(tmp_path: Path) -> None:
    async with running(plan_of(tmp_path, engines=2)) as region:
        assert await region.is_serving()
        assert region.note == region.ready
        assert region.ready["pid"] == os.getpid()
        assert {region.ready["gateway_pid"], *region.engine_pids} <= children()
        assert len(region.engine_pids) == 2


async def test_stop_ends_every_child_and_the_note_and_the_sockets(tmp_path: Path) -> None:
    async with running(plan_of(tmp_path, engines=2)) as region:
        pids = [region.ready["gateway_pid"], *region.engine_pids]
        folder = sockets_of(pids[1])
        assert names_in(folder) == {"engine-0.sock", "engine-1.sock", "redis.sock"}
    assert [pid for pid in pids if not is_gone(pid)] == []
    assert newest(tmp_path) is None
    assert names_in(folder) == set()


async def test_stop_while_it_starts_ends_it_at_once(tmp_path: Path) -> None:
    """An engine that is stuck while it loads would otherwise hold Ctrl-C for a minute."""
    fifo = tmp_path / "model.onnx"
    os.mkfifo(fifo)
    (tmp_path / "tokens.txt").write_text("")
    before = children()
    supervisor = Supervisor(plan_of(tmp_path, arguments=["--model", str(tmp_path)]))
    starting = asyncio.create_task(supervisor.run(lambda ready: pytest.fail(f"it started: {ready}")))
    await until(lambda: len(children() - before) >= 2)
    supervisor.stop()
    async with asyncio.timeout(READY_S):
        await starting
    assert children() - before == set()


async def test_a_second_stop_does_not_wait_for_the_drain(tmp_path: Path) -> None:
    async with running(plan_of(tmp_path, drain__announce_ms=120_000)) as region:
        region.supervisor.stop()
        region.supervisor.stop()
        await asyncio.to_thread(wait_until_gone, region.ready["gateway_pid"])


# --- what dies ------------------------------------------------------------------------------------------------------


async def test_a_killed_engine_is_started_again_where_it_was_and_the_note_is_renewed(tmp_path: Path) -> None:
    async with running(plan_of(tmp_path)) as region:
        (first,) = region.engine_pids
        os.kill(first, signal.SIGKILL)
        await until(lambda: region.engine_pids != [first], what="the renewed note")
        await until_true(region.is_serving, what="the engine's return")
        assert region.note | {"engines": None} == region.ready | {"engines": None}


async def test_a_killed_gateway_comes_back_on_the_same_ports(tmp_path: Path) -> None:
    async with running(plan_of(tmp_path)) as region:
        os.kill(region.ready["gateway_pid"], signal.SIGKILL)
        await until(lambda: region.note["gateway_pid"] != region.ready["gateway_pid"], what="the renewed note")
        await until_true(region.is_serving, what="the gateway's return")
        assert region.note | {"gateway_pid": 0} == region.ready | {"gateway_pid": 0}


async def test_a_child_that_is_killed_again_and_again_is_started_again_and_again(tmp_path: Path) -> None:
    async with running(plan_of(tmp_path)) as region:
        for _ in range(3):
            (pid,) = region.engine_pids
            os.kill(pid, signal.SIGKILL)
            await until(lambda pid=pid: region.engine_pids != [pid])
        await until_true(region.is_serving, what="the engine's return")


async def test_a_child_that_is_killed_before_it_is_there_again_takes_nothing_with_it(tmp_path: Path) -> None:
    async with running(plan_of(tmp_path)) as region:

        def kill_engines() -> bool:
            """As soon as each is a process, until the gateway is noted anew."""
            for pid in children():
                with contextlib.suppress(psutil.Error, ProcessLookupError):
                    if psutil.Process(pid).cmdline()[1:3] == ["-m", "engines"]:
                        os.kill(pid, signal.SIGKILL)
            return bool(region.note["gateway_pid"] != region.ready["gateway_pid"])

        os.kill(region.ready["gateway_pid"], signal.SIGKILL)
        await until(kill_engines, what="the renewed note")
        await until_true(region.is_serving, what="the engine's return")


async def test_webtransport_stays_where_clients_know_it_and_its_renewed_certificate_is_noted(tmp_path: Path) -> None:
    pair = create_or_renew(tmp_path)
    tls = {"certificate_file": str(pair.certificate_file), "key_file": str(pair.key_file)}
    plan = plan_of(tmp_path, webtransport__port=0, webtransport__tls=tls)
    plan.makes_webtransport_secret = plan.has_any_webtransport_port = True
    hashes = iter(("one", "two"))
    plan.renew_certificate, plan.renew_every_s = lambda: next(hashes, "three"), 0.1
    async with running(plan) as region:
        assert region.ready["webtransport_certificate_sha256"] == pair.sha256_hex
        await until(
            lambda: region.note["webtransport_certificate_sha256"] == "three", what="the note of the renewed one"
        )
        secret = webtransport_secret_file(tmp_path / "region-0").read_bytes()
        os.kill(region.ready["gateway_pid"], signal.SIGKILL)
        await until(lambda: bool(region.note["gateway_pid"] != region.ready["gateway_pid"]), what="another gateway")
        assert region.note["webtransport"] == region.ready["webtransport"]
        assert webtransport_secret_file(tmp_path / "region-0").read_bytes() == secret


async def test_stop_does_not_wait_for_a_child_that_is_being_started_again(tmp_path: Path) -> None:
    async with running(plan_of(tmp_path)) as region:
        os.kill(region.ready["gateway_pid"], signal.SIGKILL)
        await until(lambda: is_gone(region.ready["gateway_pid"]))
    assert newest(tmp_path) is None


async def test_nothing_outlives_a_supervisor_that_is_killed(tmp_path: Path) -> None:
    region = start_region(tmp_path, "--scripted", "--engines", "2")
    pids = [region.gateway_pid, *region.engine_pids]
    region.process.kill()
    region.process.wait()
    for pid in pids:
        await asyncio.to_thread(wait_until_gone, pid)
    assert newest(region.state) is None
    region.stop()


# --- what cannot start --------------------------------------------------------------------------------------------


async def test_a_model_that_is_refused_is_the_engines_65_and_its_words(tmp_path: Path) -> None:
    (tmp_path / "model.onnx").write_bytes(b"no model")
    failure = await failure_of(plan_of(tmp_path, engines=2, arguments=["--model", str(tmp_path)]))
    assert isinstance(failure, ChildFailed)
    assert failure.exit_code == 65
    assert str(failure).splitlines()[0] in {
        f"engine-{number} ended with exit code 65 before it was ready" for number in (0, 1)
    }
    assert len(str(failure).splitlines()) > 1
    assert "{" not in str(failure)


async def test_wrong_settings_are_the_gateways_64_and_its_words(tmp_path: Path) -> None:
    failure = await failure_of(plan_of(tmp_path, region="EU 1"))
    assert failure.exit_code == 64
    assert "wrong setting: region: " in str(failure)


async def test_a_port_that_is_taken_is_69_and_named(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        failure = await failure_of(plan_of(tmp_path, http__port=port))
    assert failure.exit_code == 69
    assert f"cannot listen for http on 127.0.0.1:{port}" in str(failure)


async def test_what_another_region_wrote_into_the_same_log_before_is_not_repeated(tmp_path: Path) -> None:
    plan = plan_of(tmp_path, region="EU 1")
    (tmp_path / "region.log").write_text("words of another region\n" * 1_000)
    assert "another region" not in str(await failure_of(plan))


async def test_a_child_without_an_exit_code_of_its_own_is_a_fault_of_ours() -> None:
    killed = ChildFailed("gateway", -9, "")
    assert (killed.exit_code, str(killed)) == (70, "gateway ended with exit code -9 before it was ready")
