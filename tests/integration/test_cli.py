"""The `patchbay` command against a running region: what it prints, and the exit codes that scripts rely on."""

from __future__ import annotations

import json
import shutil
import signal
import socket
import subprocess
from typing import TYPE_CHECKING

import pytest

from engines.server.options import EMBEDDED_MODEL
from tests.harness.caller import start_of, transcribe
from tests.harness.command import patchbay
from tests.harness.recordings import exact_names, path_of, pcm_of, pieces_of, transcripts
from tests.harness.region import PATCHBAY, environment_of

if TYPE_CHECKING:
    from pathlib import Path

    from tests.harness.command import Outcome
    from tests.harness.region import Region

pytestmark = pytest.mark.integration

PROTOCOLS = ["ws", "grpc"]
DIGITS = str(path_of("digits_rms.wav"))


def run(region: Region, *arguments: str, stdin: bytes = b"", **environment: str) -> Outcome:
    return patchbay(region.folder, *arguments, stdin=stdin, **environment)


# --- patchbay up --------------------------------------------------------------------------------------------


def test_the_ready_line_says_where_everything_is(region: Region) -> None:
    assert set(region.ready) == {
        *("http", "websocket", "grpc", "metrics", "console", "webtransport", "webtransport_certificate_sha256"),
        *("pid", "gateway_pid", "engines", "redis_pid", "redis", "decisions"),
    }
    assert region.ready["pid"] == region.process.pid
    assert [set(engine) for engine in region.ready["engines"]] == [{"pid", "pool", "address"}]
    assert len({region.ready["pid"], region.ready["gateway_pid"], region.ready["engines"][0]["pid"]}) == 3


def test_up_refuses_a_wrong_settings_file_before_any_port_is_bound(tmp_path: Path) -> None:
    wrong = tmp_path / "gateway.toml"
    wrong.write_text("[sessions]\nidle_timeout_ms = -5\n", encoding="utf-8")
    outcome = patchbay(tmp_path, "up", "--json", "--port", "0", "--config", str(wrong))
    assert outcome.exit_code == 64
    assert "idle_timeout_ms" in outcome.err
    assert outcome.out == ""


def test_up_refuses_a_model_that_breaks_the_contract(tmp_path: Path) -> None:
    folder = tmp_path / "model"
    shutil.copytree(EMBEDDED_MODEL, folder)
    (folder / "tokens.txt").write_text("<blk> 0\n", encoding="utf-8")
    outcome = patchbay(tmp_path, "up", "--json", "--port", "0", "--model", str(folder))
    assert outcome.exit_code == 65
    assert "tokens" in outcome.err


def test_up_says_that_a_port_is_taken_and_leaves_nothing_behind(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        outcome = patchbay(tmp_path, "up", "--json", "--scripted", "--port", str(taken.getsockname()[1]))
    assert outcome.exit_code != 0
    assert "in use" in outcome.err
    assert "Traceback" not in outcome.err


# --- patchbay transcribe ------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["dialogue_awb.wav", "digits_rms.wav"])
def test_both_transports_give_the_same_finals(region: Region, name: str) -> None:
    websocket, grpc = (
        run(region, "transcribe", str(path_of(name)), "--json", "--speed", "20", "--protocol", protocol)
        for protocol in PROTOCOLS
    )
    assert (websocket.exit_code, grpc.exit_code) == (0, 0)
    assert websocket.finals == grpc.finals
    assert " ".join(final["text"] for final in grpc.finals) == transcripts()[name]


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_the_messages_of_a_session_come_as_documented(region: Region, protocol: str) -> None:
    outcome = run(region, "transcribe", DIGITS, "--json", "--speed", "0", "--protocol", protocol)
    kinds = [message["type"] for message in outcome.messages]
    assert kinds[0] == "started"
    assert kinds[-2:] == ["usage", "finished"]
    assert {"speech_started", "partial", "final", "utterance_end", "ack"} <= set(kinds)
    (final,) = outcome.finals
    assert set(final) == {"type", "text", "start_ms", "end_ms", "words"}
    assert all(set(word) == {"text", "start_ms", "end_ms", "confidence"} for word in final["words"])
    assert final["text"] == " ".join(word["text"] for word in final["words"])


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_raw_samples_come_through_standard_input(region: Region, protocol: str) -> None:
    name = exact_names()[0]
    outcome = run(region, "transcribe", "-", "--json", "--protocol", protocol, stdin=pcm_of(name))
    assert outcome.exit_code == 0
    assert [final["text"] for final in outcome.finals] == [transcripts()[name]]


async def test_the_command_prints_what_the_server_said(region: Region) -> None:
    outcome = run(region, "transcribe", DIGITS, "--json", "--speed", "0")
    caller = await transcribe(region, pieces_of(pcm_of("digits_rms.wav")), start=start_of("pcm_s16le"))
    assert [(final["text"], final["start_ms"], final["end_ms"]) for final in outcome.finals] == [
        (final.text, final.start_ms, final.end_ms) for final in caller.finals
    ]


def test_without_json_only_finals_are_printed_where_there_is_no_terminal(region: Region) -> None:
    outcome = run(region, "transcribe", DIGITS, "--speed", "0")
    assert outcome.exit_code == 0
    assert [line.split("  ", 1)[1] for line in outcome.out.splitlines() if line.strip()] == [
        transcripts()["digits_rms.wav"]
    ]


# --- its exit codes -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_wrong_token_is_exit_77(region: Region, protocol: str) -> None:
    outcome = run(region, "transcribe", DIGITS, "--token", "eyJ.not.a-token", "--protocol", protocol)
    assert outcome.exit_code == 77
    assert "token_malformed" in outcome.err
    assert "eyJ.not.a-token" not in outcome.err


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_token_without_the_scope_is_exit_77(region: Region, protocol: str) -> None:
    token = region.token(scopes=("something:else",))
    outcome = run(region, "transcribe", DIGITS, "--protocol", protocol, PATCHBAY_TOKEN=token)
    assert outcome.exit_code == 77
    assert "scope_missing" in outcome.err


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_no_gateway_is_exit_69(region: Region, protocol: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]  # free, once the listener is closed
    outcome = run(region, "transcribe", DIGITS, "--url", f"127.0.0.1:{port}", "--protocol", protocol)
    assert outcome.exit_code == 69, outcome.err
    assert "Traceback" not in outcome.err


def test_no_file_is_exit_66(region: Region) -> None:
    outcome = run(region, "transcribe", "/nowhere/at-all.wav")
    assert outcome.exit_code == 66
    assert outcome.err == "/nowhere/at-all.wav: No such file or directory\n"


def test_a_text_file_is_exit_64_and_asks_what_it_is(region: Region, tmp_path: Path) -> None:
    letter = tmp_path / "letter.txt"
    letter.write_text("Dear maintainers,\n" * 100, encoding="utf-8")
    outcome = run(region, "transcribe", str(letter))
    assert outcome.exit_code == 64
    assert "--encoding" in outcome.err


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_text_that_is_called_audio_is_exit_65(region: Region, protocol: str) -> None:
    letter = b"Dear maintainers,\n" * 10_000
    outcome = run(region, "transcribe", "-", "--encoding", "flac", "--protocol", protocol, stdin=letter)
    assert outcome.exit_code == 65
    assert "undecodable_audio" in outcome.err


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_file_that_only_begins_like_audio_is_exit_65(region: Region, tmp_path: Path, protocol: str) -> None:
    (tmp_path / "letter.wav").write_bytes(b"RIFF" + b"Dear maintainers,\n" * 10_000)
    outcome = run(region, "transcribe", str(tmp_path / "letter.wav"), "--json", "--protocol", protocol)
    assert outcome.exit_code == 65
    assert outcome.messages[-1]["reason"] == "undecodable_audio"


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_an_unknown_model_is_exit_65(region: Region, protocol: str) -> None:
    outcome = run(region, "transcribe", DIGITS, "--model", "nobody", "--protocol", protocol, "--json")
    assert outcome.exit_code == 65
    assert outcome.messages[-1]["reason"] == "unknown_model"


def test_ctrl_c_is_exit_130(region: Region) -> None:
    process = subprocess.Popen(
        [str(PATCHBAY), "transcribe", str(path_of("dialogue_awb.wav")), "--json"],
        env=environment_of(region.folder),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    with process:
        assert process.stdout is not None
        assert json.loads(process.stdout.readline())["type"] == "started"
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=20)
    assert process.returncode == 130
    assert err == b""


# --- patchbay token -----------------------------------------------------------------------------------------


def test_a_token_that_the_command_prints_opens_the_region(region: Region) -> None:
    token = run(region, "token", "--tenant", "acme", "--ttl", "60")
    assert token.exit_code == 0
    outcome = run(region, "transcribe", DIGITS, "--speed", "0", PATCHBAY_TOKEN=token.out.strip())
    assert outcome.exit_code == 0


def test_a_token_of_another_machine_is_refused(region: Region, tmp_path: Path) -> None:
    theirs = patchbay(tmp_path, "token")
    outcome = run(region, "transcribe", DIGITS, PATCHBAY_TOKEN=theirs.out.strip())
    assert outcome.exit_code == 77
    assert "token_key_unknown" in outcome.err


def test_a_token_cannot_live_for_nothing(tmp_path: Path) -> None:
    assert patchbay(tmp_path, "token", "--ttl", "0").exit_code == 64


# --- patchbay config ----------------------------------------------------------------------------------------

GOOD = """
region = "eu-1"
[engines]
addresses = ["unix:/run/patchbay/engine.sock"]
[[tokens.issuers]]
issuer = "https://issuer.example"
audience = "patchbay"
algorithms = ["HS256"]
shared_secrets = [{ kid = "a", value = "a-canary-secret-of-at-least-32-bytes" }]
"""


def test_config_check_accepts_good_settings(tmp_path: Path) -> None:
    (tmp_path / "good.toml").write_text(GOOD, encoding="utf-8")
    outcome = patchbay(tmp_path, "config", "check", str(tmp_path / "good.toml"))
    assert (outcome.exit_code, outcome.out) == (0, "the settings are good\n"), outcome.err


def test_config_check_lists_every_mistake(tmp_path: Path) -> None:
    wrong = GOOD.replace('"eu-1"', '"EU 1"') + "\n[sessions]\nidle_timeout_ms = 0\nno_such_key = 1\n[audio]\nx = 2\n"
    (tmp_path / "wrong.toml").write_text(wrong, encoding="utf-8")
    outcome = patchbay(tmp_path, "config", "check", str(tmp_path / "wrong.toml"))
    assert outcome.exit_code == 64
    mistakes = [line.removeprefix("wrong setting: ").partition(":")[0] for line in outcome.err.splitlines()]
    assert sorted(mistakes) == ["audio.x", "region", "sessions.idle_timeout_ms", "sessions.no_such_key"]


@pytest.mark.parametrize("text", ["this is = no [toml", "region = 3", ""])
def test_config_check_never_shows_a_stack(tmp_path: Path, text: str) -> None:
    (tmp_path / "wrong.toml").write_text(text, encoding="utf-8")
    outcome = patchbay(tmp_path, "config", "check", str(tmp_path / "wrong.toml"))
    assert outcome.exit_code == 64
    assert outcome.err.startswith("wrong setting: ")
    assert "Traceback" not in outcome.err


def test_config_check_of_no_file_is_exit_64(tmp_path: Path) -> None:
    assert patchbay(tmp_path, "config", "check", str(tmp_path / "none.toml")).exit_code == 64


def test_config_show_puts_stars_for_secrets_and_defaults_for_the_rest(tmp_path: Path) -> None:
    (tmp_path / "good.toml").write_text(GOOD, encoding="utf-8")
    outcome = patchbay(
        tmp_path, "config", "show", str(tmp_path / "good.toml"), PATCHBAY__SESSIONS__IDLE_TIMEOUT_MS="4321"
    )
    assert outcome.exit_code == 0
    shown = outcome.json
    assert (shown["region"], shown["sessions"]["idle_timeout_ms"]) == ("eu-1", 4_321)
    assert shown["sessions"]["handshake_timeout_ms"] == 5_000
    assert "canary" not in outcome.out
    assert "***" in outcome.out


def test_a_wrong_secret_is_not_shown(tmp_path: Path) -> None:
    wrong = GOOD.replace("a-canary-secret-of-at-least-32-bytes", "canary-short")
    (tmp_path / "wrong.toml").write_text(wrong, encoding="utf-8")
    outcome = patchbay(tmp_path, "config", "check", str(tmp_path / "wrong.toml"))
    assert outcome.exit_code == 64
    assert "canary" not in outcome.out + outcome.err


def test_config_schema_names_every_section(tmp_path: Path) -> None:
    outcome = patchbay(tmp_path, "config", "schema")
    assert outcome.exit_code == 0
    assert {"region", "http", "grpc", "admin", "engines", "tokens", "sessions", "audio", "drain", "tracing"} <= set(
        outcome.json["properties"]
    )


# --- patchbay models ----------------------------------------------------------------------------------------


def test_models_list_shows_the_embedded_model(tmp_path: Path) -> None:
    outcome = patchbay(tmp_path, "models", "list", "--json")
    assert outcome.exit_code == 0
    (model,) = [row for row in outcome.json if row.get("name") == "embedded"]
    assert len(bytes.fromhex(model["version"])) == 8
    assert patchbay(tmp_path, "models", "list").exit_code == 0


async def test_models_list_gives_the_version_that_sessions_are_told(region: Region) -> None:
    (model,) = [row for row in run(region, "models", "list", "--json").json if row.get("name") == "embedded"]
    started = run(region, "transcribe", DIGITS, "--json", "--speed", "0").messages[0]
    assert (started["model"], started["model_version"]) == (model["name"], model["version"])


def test_models_check_accepts_a_copy_of_the_embedded_model(tmp_path: Path) -> None:
    shutil.copytree(EMBEDDED_MODEL, tmp_path / "mine")
    outcome = patchbay(tmp_path, "models", "check", str(tmp_path / "mine"), "--json")
    assert outcome.exit_code == 0, outcome.err
    assert outcome.json["vocab_size"] > 0


def test_models_check_says_what_is_wrong_with_a_file(tmp_path: Path) -> None:
    shutil.copytree(EMBEDDED_MODEL, tmp_path / "mine")
    (tmp_path / "mine" / "model.onnx").write_bytes(b"no model")
    outcome = patchbay(tmp_path, "models", "check", str(tmp_path / "mine"), "--json")
    assert outcome.exit_code == 65
    assert outcome.json["mistakes"]
    assert "Traceback" not in outcome.err


def test_models_check_of_nothing_is_exit_65(tmp_path: Path) -> None:
    outcome = patchbay(tmp_path, "models", "check", str(tmp_path / "nowhere"))
    assert outcome.exit_code == 65
    assert outcome.err
