"""A Triton server is killed while somebody speaks: the words go on at an engine with the same weights and no Triton."""

from __future__ import annotations

import asyncio
import contextlib
import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from gateway.dev_keys import DEV_ALGORITHM, DEV_AUDIENCE, DEV_ISSUER, create_or_load
from gateway.settings import as_environment
from tests.harness.caller import Caller, calling, transcribe
from tests.harness.recordings import pcm_of, pieces_of
from tests.harness.region import Region, environment_of
from tests.harness.waiting import until
from tests.triton.conftest import copy_entry

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.harness.triton import Triton

pytestmark = [pytest.mark.triton, pytest.mark.alone]

ROOT = Path(__file__).parents[2]
DIALOGUE = pieces_of(pcm_of("dialogue_awb.wav"))
SPEED = 4.0


@contextlib.contextmanager
def running(module: str, *arguments: str, environment: dict[str, str]) -> Iterator[tuple[Any, dict[str, Any]]]:
    """A process of ours, and its ready line."""
    command = [sys.executable, "-m", module, "--json", *arguments]
    with subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout is not None
            yield process, json.loads(process.stdout.readline())
        finally:
            process.kill()


def words_of(caller: Caller) -> list[tuple[object, ...]]:
    """Texts and times; probabilities differ in the last digits between two runtimes."""
    return [(final.text, final.start_ms, final.end_ms) for final in caller.finals]


async def test_words_go_on_elsewhere_when_the_triton_server_of_an_engine_dies(
    tmp_path: Path, written_repository: Path, new_triton: Callable[..., Triton]
) -> None:
    copy_entry(written_repository / "asr", tmp_path / "repository" / "embedded", {})
    server = new_triton(tmp_path / "repository")
    environment = environment_of(tmp_path)
    state = tmp_path / "state" / "patchbay"
    state.mkdir(parents=True)
    issuer = {
        "issuer": DEV_ISSUER,
        "audience": DEV_AUDIENCE,
        "algorithms": [DEV_ALGORITHM],
        "static_keys": create_or_load(state).jwks()["keys"],
    }
    over_triton = ["--backend", "triton", "--triton", server.address, "--model", "embedded", "--slots", "8"]
    with (
        running("engines", *over_triton, environment=environment) as (_, first),
        running("engines", "--slots", "4", environment=environment) as (_, second),
    ):
        settings = {
            "engines__addresses": [first["address"], second["address"]],
            "tokens__issuers": [issuer],
            **{f"{name}__port": 0 for name in ("http", "grpc", "admin")},
        }
        with running("gateway", environment=environment | as_environment(settings)) as (process, ready):
            region = Region(process, ready, tmp_path)
            undisturbed = await transcribe(region, DIALOGUE)
            assert server.counts_of("embedded")[0] > 0
            async with calling(region) as caller:
                await caller.start()
                await caller.until_started()
                speaking = asyncio.create_task(caller.say_all(DIALOGUE, speed=SPEED))
                await until(lambda: len(caller.spoken_at_s) >= len(DIALOGUE) // 2)
                server.kill()
                await speaking
                await caller.finish()
                await caller.until_over()
    assert caller.is_finished
    assert caller.migrations
    assert words_of(caller) == words_of(undisturbed)
