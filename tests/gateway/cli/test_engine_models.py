"""`patchbay models` against a running engine: a version comes, takes a share, takes all, and the old one goes."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from typing import TYPE_CHECKING, Any

import grpc
import pytest
from typer.testing import CliRunner

from engines.proto import engine_pb2
from engines.server.options import EMBEDDED_MODEL
from gateway.cli.app import app
from tests.harness.next_version import write_next_version
from tests.harness.region import ROOT
from tests.harness.waiting import until_sync

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from click.testing import Result

pytestmark = pytest.mark.integration

READY_S = 60


class Engine:
    """An engine with the embedded model, that may load more from `folder`; `next_model` is one of them."""

    def __init__(self, address: str, folder: Path, next_model: Path) -> None:
        self.address = address
        self.folder = folder
        self.next_model = next_model

    def models(self, *arguments: str) -> Result:
        return CliRunner().invoke(app, ["models", *arguments, "--engine", self.address])

    def rows(self, *arguments: str) -> list[dict[str, Any]]:
        outcome = self.models(*arguments, "--json")
        assert outcome.exit_code == 0, outcome.stderr
        found: list[dict[str, Any]] = json.loads(outcome.stdout)
        return found

    def versions(self) -> dict[str, dict[str, Any]]:
        return {row["version"]: row for row in self.rows("list")}


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    allowed = tmp_path / "models"
    next_model = write_next_version(allowed)
    listen = f"unix:{tmp_path}/engine.sock"
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen(
            [
                *(sys.executable, "-m", "engines", "--listen", listen, "--json", "--slots", "4"),
                *("--model-folder", str(allowed), "--exit-with-parent"),
            ],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=log,
        )
    assert process.stdout is not None
    with process:
        line = process.stdout.readline()
        assert line, (tmp_path / "log").read_text()
        yield Engine(listen, allowed, next_model)
        process.kill()


def open_stream(channel: grpc.Channel, version: str) -> Any:
    """A session on one version, held open by hand; its answers are an iterator."""
    gate = threading.Event()

    def commands() -> Iterator[engine_pb2.ToEngine]:
        opened = engine_pb2.Open(
            session_id="s", epoch=1, min_trailing_silence_ms=800, max_utterance_ms=30_000, model_version=version
        )
        yield engine_pb2.ToEngine(
            hello=engine_pb2.Hello(gateway="by hand", protocol_version=1),
            commands=[engine_pb2.StreamCommand(stream_id=1, open=opened)],
        )
        gate.wait(READY_S)

    call = channel.stream_stream(
        "/patchbay.engine.v1.Engine/Link",
        request_serializer=engine_pb2.ToEngine.SerializeToString,
        response_deserializer=engine_pb2.FromEngine.FromString,
    )(commands())
    call.add_done_callback(lambda _call: gate.set())
    return call


def test_a_new_version_is_put_beside_the_old_one_shared_and_takes_over(engine: Engine) -> None:
    (old,) = engine.rows("list")
    assert (old["name"], old["share_permille"], old["slots_used"], old["slots_laid_out"]) == ("embedded", 1_000, 0, 4)
    (new,) = engine.rows("load", str(engine.next_model), "--slots", "2")
    assert (new["name"], new["share_permille"], new["slots_laid_out"]) == ("embedded", 0, 2)
    assert new["version"] != old["version"]
    shared = {row["version"]: row["share_permille"] for row in engine.rows("share", "embedded", new["version"], "5")}
    assert shared == {old["version"]: 950, new["version"]: 50}
    assert "5 %" in engine.models("list").stdout
    shared = {row["version"]: row["share_permille"] for row in engine.rows("share", "embedded", new["version"], "100")}
    assert shared == {old["version"]: 0, new["version"]: 1_000}
    outcome = engine.models("unload", "embedded", old["version"])
    assert (outcome.exit_code, outcome.stdout) == (0, f"embedded {old['version']} is gone\n")
    assert set(engine.versions()) == {new["version"]}
    last = engine.models("unload", "embedded", new["version"])
    assert last.exit_code == 65
    assert last.stderr.startswith("failed_precondition: ")


def test_a_version_with_a_session_goes_at_its_deadline_at_the_latest(engine: Engine) -> None:
    (old,) = engine.rows("list")
    engine.rows("load", str(engine.next_model), "--share", "100")
    with grpc.insecure_channel(engine.address) as channel:
        call = open_stream(channel, old["version"])
        until_sync(lambda: engine.versions()[old["version"]]["slots_used"] == 1, what="the session")
        going = engine.models("unload", "embedded", old["version"], "--no-wait")
        assert (going.exit_code, going.stdout) == (
            0,
            f"embedded {old['version']} takes no new sessions; 1 are open\n",
        )
        assert engine.versions()[old["version"]]["is_leaving"]
        assert "leaving" in engine.models("list").stdout
        gone = engine.models("unload", "embedded", old["version"], "--deadline-s", "1", "--json")
        assert gone.exit_code == 0, gone.stderr
        assert json.loads(gone.stdout)["is_gone"]
        lost = next(event for message in call for event in message.events if event.HasField("lost"))
        assert lost.lost.reason == "drained"
        call.cancel()
    assert old["version"] not in engine.versions()


def test_what_an_engine_will_not_do_has_its_exit_code(engine: Engine) -> None:
    (old,) = engine.rows("list")
    broken = engine.folder / "broken"
    broken.mkdir()
    for arguments, exit_code, says in (
        (["load", str(EMBEDDED_MODEL)], 77, "permission_denied: "),
        (["load", str(broken)], 65, "invalid_argument: "),
        (["share", "embedded", "0" * 16, "5"], 65, "not_found: "),
        (["unload", "nobody", old["version"]], 65, "not_found: "),
    ):
        outcome = engine.models(*arguments)
        assert (outcome.exit_code, outcome.stdout) == (exit_code, "")
        assert outcome.stderr.startswith(says)
    assert set(engine.versions()) == {old["version"]}


@pytest.mark.parametrize(
    "arguments",
    [
        ["share", "m", "v", "101"],
        ["share", "m", "v", "-1"],
        ["share", "m", "v", "0.05"],
        ["load", "m", "--share", "3.33"],
        ["load", "m", "--slots", "-1"],
        ["unload", "m", "v", "--deadline-s", "-1"],
        ["list", "--folder", ".", "--engine", "0"],
    ],
    ids=" ".join,
)
def test_what_cannot_be_asked_for_is_a_wrong_command_line(arguments: list[str]) -> None:
    outcome = CliRunner().invoke(app, ["models", *arguments])
    assert outcome.exit_code == 2  # 64 from the command itself: see test_app.py


@pytest.mark.parametrize(
    "arguments", [["list"], ["load", "m"], ["share", "m", "v", "5"], ["unload", "m", "v"]], ids=" ".join
)
def test_an_engine_that_is_not_there_is_69(tmp_path: Path, arguments: list[str]) -> None:
    outcome = CliRunner().invoke(app, ["models", *arguments, "--engine", f"unix:{tmp_path}/none.sock"])
    assert outcome.exit_code == 69
    assert outcome.stderr.startswith("unavailable: ")
