"""Promises of `patchbay transcripts`: lists without words, words with a ticket, and erasures that say what stayed."""

from __future__ import annotations

import asyncio
import json
import time
from typing import TYPE_CHECKING

import pytest
from aiohttp import ClientSession, web
from aiohttp.test_utils import TestServer
from typer.testing import CliRunner

from gateway.admission.revocation_check import NothingRevoked
from gateway.cli.app import app as patchbay
from gateway.cli.exit_codes import ExitCode
from gateway.operations.operators import ERASE, SUPPORT, Operators
from gateway.operations.transcripts_http import TranscriptsHttp
from gateway.transcripts.region_keys import read_region_keys
from tests.gateway.operations.operations_world import OperationsWorld
from tests.gateway.operations.test_transcript_acts import ActsWorld
from tests.gateway.transcripts.transcript_world import ASKS, HERE, table_of

if TYPE_CHECKING:
    from pathlib import Path

    from click.testing import Result

pytestmark = pytest.mark.unit


async def test_sessions_are_listed_shown_and_erased(tmp_path: Path) -> None:
    async with ClientSession() as http:
        world, stored = OperationsWorld(tmp_path / "keys", http), ActsWorld(tmp_path)
        await stored.spoken("guten [tag]")

        def operators(scope: str) -> Operators:
            return Operators(world.verifier, NothingRevoked(), lambda: int(time.time()), scope=scope)

        served = web.Application()
        TranscriptsHttp(operators(SUPPORT), operators(ERASE), stored.acts, here=HERE).add_to(served)
        async with TestServer(served) as server:

            async def run(*words: str, scope: str = "support") -> Result:
                environment = {"COLUMNS": "200", "PATCHBAY_OPERATOR_TOKEN": world.token("ada", scopes=(scope,))}
                arguments = ["transcripts", *words, "--admin-url", str(server.make_url("/"))]
                return await asyncio.to_thread(CliRunner().invoke, patchbay, arguments, env=environment)

            listed = await run("list")
            assert "s1" in listed.stdout
            assert "guten" not in listed.stdout
            assert len(json.loads((await run("list", "--project", "acme/clinic", "--json")).stdout)["sessions"]) == 1
            refused = await run("show", "s1")
            assert (refused.exit_code, "needs_break_glass" in refused.output) == (ExitCode.not_permitted, True)
            await stored.open_glass()
            shown = await run("show", "s1", "--from", HERE)
            assert all(word in shown.stdout for word in ("guten [tag]", "INC-7", "on record"))
            erase = ("erase", "--project", "acme/clinic", "--subject", "patient-7", "--reason", "art. 17")
            stored.table = table_of(f"{ASKS}\nlegal_hold = true")
            held = await run(*erase, scope="erase")
            assert (held.exit_code, "legal_hold" in held.output) == (ExitCode.data_rejected, True)
            stored.table = table_of()
            erased = await run(*erase, scope="erase")
            assert (erased.exit_code, "acme/clinic" in erased.stdout) == (0, True)
            assert "nothing is stored" in (await run("list")).stdout
            none = await run("erase", "--project", "acme/*", "--subject", "x", "--reason", "y", scope="erase")
            assert "nothing of this subject" in none.stdout


def test_a_key_file_is_made_and_rotated(tmp_path: Path) -> None:
    path = tmp_path / "region.keys"
    for name in ("k1", "k2"):
        made = CliRunner().invoke(patchbay, ["transcripts", "make-key", str(path)])
        assert (made.exit_code, name in made.stdout) == (0, True)
    assert read_region_keys(path).current == "k2"
    path.write_text("nonsense")
    assert CliRunner().invoke(patchbay, ["transcripts", "make-key", str(path)]).exit_code == ExitCode.no_input
