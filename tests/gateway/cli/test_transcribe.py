"""`patchbay transcribe`: every way it can end has its exit code, and none of them leaves anybody waiting."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from typing import TYPE_CHECKING

import pytest
from typer.testing import CliRunner

from gateway.cli.app import app
from tests.harness.command import patchbay
from tests.harness.ports import free_port
from tests.harness.recordings import path_of, pcm_of
from tests.harness.region import PATCHBAY, Region, environment_of, start_region

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from click.testing import Result

PROTOCOLS = ["ws", "grpc"]
ALL_PROTOCOLS = [*PROTOCOLS, "webtransport"]
TIMER = str(path_of("timer_rms.wav"))
DIALOGUE = str(path_of("dialogue_awb.wav"))
DEADLINE_S = 60


@pytest.fixture(scope="module")
def scripted(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Region]:
    with start_region(tmp_path_factory.mktemp("scripted"), "--scripted", "--webtransport") as region:
        yield region


def run(home: Path, *arguments: str) -> Result:
    """Without a gateway: for what ends before one is dialled."""
    return CliRunner().invoke(app, ["transcribe", *arguments], env={"XDG_STATE_HOME": str(home), "PATCHBAY_TOKEN": ""})


# --- before a gateway is dialled --------------------------------------------------------------------------------


@pytest.mark.unit
@pytest.mark.parametrize(
    "arguments",
    [
        ["--rate", "0"],
        ["--rate", "-8000"],
        ["--rate", "7999"],
        ["--rate", "48001"],
        ["--channels", "0"],
        ["--channels", "-1"],
        ["--channels", "9"],
        ["--channel", "-1"],
        ["--channel", "8"],
        ["--speed", "-1"],
        ["--silence-ms", "-1"],
        ["--max-utterance-ms", "99999999999"],
        ["--no-speech-ms", "-1"],
        ["--decoding", "oracle"],
        ["--profanity", "shout"],
        ["--redact", "shoe_size"],
        ["--keyword", ":5"],
        ["--encoding", "aac"],
        ["--protocol", "smtp"],
    ],
    ids=" ".join,
)
@pytest.mark.parametrize("encoding", [[], ["--encoding", "pcm_s16le"]], ids=["as it is", "raw"])
def test_what_no_audio_has_is_a_wrong_command_line(tmp_path: Path, encoding: list[str], arguments: list[str]) -> None:
    outcome = run(tmp_path, TIMER, *encoding, *arguments)
    assert outcome.exit_code == 2  # 64 from the command itself: see test_app.py
    assert "Invalid value" in outcome.stderr


@pytest.mark.unit
@pytest.mark.parametrize(
    ("file", "code", "says"),
    [
        ("none.wav", 66, "No such file or directory"),
        (".", 66, "Is a directory"),
        ("letter.txt", 64, "--encoding"),
        ("pipe", 64, "patchbay transcribe -"),
    ],
)
def test_a_file_that_cannot_be_sent_says_why(tmp_path: Path, file: str, code: int, says: str) -> None:
    (tmp_path / "letter.txt").write_text("Dear maintainers")
    os.mkfifo(tmp_path / "pipe")
    keeper = os.open(tmp_path / "pipe", os.O_RDWR)
    outcome = run(tmp_path, str(tmp_path / file), "--token", "t")
    os.close(keeper)
    assert outcome.exit_code == code
    assert outcome.stderr.startswith(f"{tmp_path / file}: ")
    assert says in outcome.stderr


@pytest.mark.unit
def test_bare_opus_packets_have_no_borders_in_a_file(tmp_path: Path) -> None:
    outcome = run(tmp_path, "-", "--encoding", "opus")
    assert outcome.exit_code == 64
    assert "Ogg" in outcome.stderr


@pytest.mark.unit
@pytest.mark.parametrize("url", ["speech.example", "wss://speech.example/v1/stream", "10.0.0.1:8080", "grpc://h:1"])
def test_the_development_key_is_never_used_for_another_machine(tmp_path: Path, url: str) -> None:
    outcome = run(tmp_path, TIMER, "--url", url)
    assert outcome.exit_code == 64
    assert "give --token" in outcome.stderr


@pytest.mark.unit
@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--url", "http://[::1"], "is not an address"),
        (["--url", "http://[::1", "--token", "t"], "is not an address"),
        (["--token", "two\nlines"], "characters that no token has"),
        (["--token", "tökèn"], "characters that no token has"),
    ],
)
def test_an_address_or_a_token_that_cannot_be_is_64(tmp_path: Path, arguments: list[str], says: str) -> None:
    outcome = run(tmp_path, TIMER, *arguments)
    assert outcome.exit_code == 64
    assert says in outcome.stderr
    assert "lines" not in outcome.stderr


@pytest.mark.unit
def test_a_development_key_that_cannot_be_used_is_64(tmp_path: Path) -> None:
    (tmp_path / "patchbay").mkdir()
    (tmp_path / "patchbay" / "dev-key.pem").write_text("no key")
    outcome = run(tmp_path, TIMER)
    assert outcome.exit_code == 64
    assert "no development key" in outcome.stderr


@pytest.mark.unit
@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--certificate-hash", "ab" * 32], "are for --protocol webtransport"),
        (["--no-fallback", "--protocol", "grpc"], "are for --protocol webtransport"),
        (["--protocol", "webtransport", "--certificate-hash", "ab"], "64 hexadecimal digits"),
        (["--protocol", "webtransport", "--url", "ws://127.0.0.1:1"], "begins with https://"),
        (["--protocol", "webtransport", "--datagrams"], "raw audio"),
        (["--protocol", "webtransport", "--datagrams", "--encoding", "mulaw", "--speed", "0"], "--speed"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_options_of_webtransport_that_mean_nothing_are_64(tmp_path: Path, arguments: list[str], says: str) -> None:
    outcome = run(tmp_path, TIMER, *arguments)
    assert outcome.exit_code == 64
    assert says in outcome.stderr


# --- with a gateway -----------------------------------------------------------------------------------------------


@pytest.mark.integration
@pytest.mark.parametrize("protocol", ALL_PROTOCOLS)
def test_a_file_and_its_samples_through_standard_input_give_the_same_words(scripted: Region, protocol: str) -> None:
    options = ("--json", "--speed", "0", "--protocol", protocol)
    from_file = patchbay(scripted.folder, "transcribe", TIMER, *options)
    from_stdin = patchbay(scripted.folder, "transcribe", "-", *options, stdin=pcm_of("timer_rms.wav"))
    described = patchbay(
        scripted.folder, "transcribe", "-", "--encoding", "wav", *options, stdin=path_of("timer_rms.wav").read_bytes()
    )
    assert from_file.exit_code == from_stdin.exit_code == described.exit_code == 0
    assert from_file.finals
    assert from_file.finals == from_stdin.finals == described.finals


@pytest.mark.integration
@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_an_empty_recording_is_a_session_without_words(scripted: Region, protocol: str) -> None:
    outcome = patchbay(scripted.folder, "transcribe", "-", "--json", "--protocol", protocol)
    assert outcome.exit_code == 0
    assert outcome.finals == []
    assert outcome.messages[-1] == {"type": "finished", "audio_ms": 0}


@pytest.mark.integration
@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_options_reach_the_gateway(scripted: Region, protocol: str) -> None:
    outcome = patchbay(
        scripted.folder, "transcribe", TIMER, "--json", "--protocol", protocol, "--max-utterance-ms", "1"
    )
    assert outcome.exit_code == 65
    assert outcome.messages[-1]["reason"] == "bad_option"
    quiet = patchbay(
        scripted.folder, "transcribe", TIMER, "--json", "--speed", "0", "--protocol", protocol, "--no-partials"
    )
    assert "partial" not in {message["type"] for message in quiet.messages}


@pytest.mark.integration
@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_wishes_of_recognition_reach_the_gateway_and_their_mistakes_come_back(scripted: Region, protocol: str) -> None:
    wishes = [
        *("--keyword", "acme:2500", "--keyword", "um:-500", "--decoding", "greedy", "--no-speech-ms", "9000"),
        *("--numerals", "--punctuation", "--profanity", "mask", "--redact", "email", "--redact", "card_number"),
    ]
    outcome = patchbay(scripted.folder, "transcribe", TIMER, "--json", "--speed", "0", "--protocol", protocol, *wishes)
    assert outcome.exit_code == 0, outcome.out + outcome.err
    started = outcome.messages[0]
    wrong = ["--keyword", "acme:50000", "--keyword", "x" * 65, "--no-speech-ms", "1"]
    outcome = patchbay(scripted.folder, "transcribe", TIMER, "--json", "--protocol", protocol, *wrong)
    assert outcome.exit_code == 65
    error = outcome.messages[-1]
    assert error["reason"] == "bad_option"
    assert {"keywords[0].boost_permille", "keywords[1].phrase", "endpointing.no_speech_ms"} <= {
        mistake.split(" ")[0] for mistake in error["message"].split("; ")
    }
    pinned = patchbay(
        scripted.folder,
        *("transcribe", TIMER, "--json", "--speed", "0", "--protocol", protocol),
        *("--model-version", started["model_version"]),
    )
    assert (pinned.exit_code, pinned.messages[0]["model_version"]) == (0, started["model_version"])
    nowhere = patchbay(
        scripted.folder, "transcribe", TIMER, "--json", "--protocol", protocol, "--model-version", "0" * 16
    )
    assert (nowhere.exit_code, nowhere.messages[-1]["reason"]) == (65, "unknown_model")


def _transcribing(region: Region, *arguments: str) -> subprocess.Popen[bytes]:
    """With a standard input that stays open and says nothing."""
    return subprocess.Popen(
        [str(PATCHBAY), "transcribe", "--json", *arguments],
        env=environment_of(region.folder),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


@pytest.mark.integration
@pytest.mark.parametrize(
    ("file", "protocol"),
    [(file, protocol) for file in ("-", DIALOGUE) for protocol in PROTOCOLS] + [(DIALOGUE, "webtransport")],
)
def test_ctrl_c_ends_at_once_with_130_and_no_stack(scripted: Region, file: str, protocol: str) -> None:
    with _transcribing(scripted, file, "--protocol", protocol) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert json.loads(process.stdout.readline())["type"] == "started"
        process.send_signal(signal.SIGINT)
        assert process.wait(DEADLINE_S) == 130
        assert process.stderr.read() == b""


@pytest.mark.integration
@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_session_that_is_refused_ends_although_standard_input_stays_open(scripted: Region, protocol: str) -> None:
    with _transcribing(scripted, "-", "--protocol", protocol, "--model", "nobody") as process:
        assert process.wait(DEADLINE_S) == 65


@pytest.mark.integration
def test_samples_in_datagrams_all_arrive(scripted: Region, tmp_path: Path) -> None:
    samples = tmp_path / "timer.raw"
    samples.write_bytes(pcm_of("timer_rms.wav"))
    outcome = patchbay(
        scripted.folder,
        *("transcribe", str(samples), "--encoding", "pcm_s16le", "--json", "--protocol", "webtransport"),
        *("--datagrams", "--speed", "4", "--no-fallback"),
    )
    assert outcome.exit_code == 0
    assert outcome.finals
    assert outcome.messages[-1] == {"type": "finished", "audio_ms": len(pcm_of("timer_rms.wav")) // 32}
    assert "audio_lost" not in {message["type"] for message in outcome.messages}


@pytest.mark.integration
def test_where_webtransport_does_not_come_through_the_words_come_over_websocket(scripted: Region) -> None:
    """Its own note says where its WebSocket is, although its WebTransport is somewhere else now."""
    note = scripted.state / "running" / f"{scripted.process.pid}.json"
    written = note.read_text()
    try:
        moved = json.loads(written) | {"webtransport": f"https://127.0.0.1:{free_port()}/v1/stream"}
        note.write_text(json.dumps(moved))
        arguments = ("transcribe", TIMER, "--json", "--speed", "0", "--protocol", "webtransport")
        outcome = patchbay(scripted.folder, *arguments)
        without = patchbay(scripted.folder, *arguments, "--no-fallback")
    finally:
        note.write_text(written)
    assert outcome.exit_code == 0
    assert outcome.finals
    assert outcome.err.startswith(f"WebTransport cannot be reached; going on over WebSocket at {scripted.websocket} (")
    assert (without.exit_code, without.messages) == (69, [])
    assert "nobody listens" in without.err


@pytest.mark.integration
def test_a_reader_that_goes_away_ends_it_without_a_stack(scripted: Region) -> None:
    with _transcribing(scripted, TIMER) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert process.wait(DEADLINE_S) != 0
        assert process.stderr.read() == b""
