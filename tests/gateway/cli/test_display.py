"""How a transcript is shown: lines of JSON for programs; for people finals, and live words only on a terminal."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import select
from typing import TYPE_CHECKING, Self

import pytest

from gateway.cli.display import JsonDisplay, TerminalDisplay
from gateway.cli.resuming import FellBack, Resumed
from gateway.wire.messages import (
    Ack,
    AudioLost,
    ErrorMessage,
    FinalMessage,
    Finished,
    Migrated,
    PartialMessage,
    Started,
    Usage,
    WordMessage,
)
from tests.harness.waiting import until_sync

if TYPE_CHECKING:
    from gateway.cli.display import Display
    from gateway.wire.messages import ServerMessage

pytestmark = pytest.mark.unit

SESSION: list[ServerMessage] = [
    Started(session_id="s", model="m", model_version="1", region="local", protocol_version=1),
    PartialMessage("call", 0, 600, 0),
    PartialMessage("call me [bold]", 0, 900, 5),
    FinalMessage("call me", 61_300, 62_000, (WordMessage("call", 61_300, 61_500, 1.0),)),
    Ack(62_000),
    AudioLost(62_000, 62_240),
    Migrated("heartbeat_missed", 1_200, 300),
    FinalMessage("", 62_000, 63_000, ()),
    Usage(63_000, 1),
    Finished(63_000),
]


def test_json_is_one_message_a_line_as_the_server_sent_it(capsys: pytest.CaptureFixture[str]) -> None:
    with JsonDisplay() as display:
        for message in SESSION:
            display.show(message)
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [row["type"] for row in rows] == [
        *("started", "partial", "partial", "final", "ack", "audio_lost", "migrated", "final", "usage", "finished")
    ]
    assert rows[3]["words"] == [{"text": "call", "start_ms": 61_300, "end_ms": 61_500, "confidence": 1.0}]


RESUMED = Resumed(at="wss://b/v1/stream", region="eu-west", from_sample=16_000, pause_elapsed_ms=840, attempts=2)


def test_a_session_that_goes_on_elsewhere_says_so_in_a_line_of_its_own(capsys: pytest.CaptureFixture[str]) -> None:
    with JsonDisplay() as display:
        display.show(RESUMED)
    assert json.loads(capsys.readouterr().out) == {
        "type": "resumed",
        "at": "wss://b/v1/stream",
        "region": "eu-west",
        "from_sample": 16_000,
        "pause_elapsed_ms": 840,
        "attempts": 2,
    }
    with TerminalDisplay(None) as terminal:
        terminal.show(RESUMED)
    assert capsys.readouterr().out == "connection lost, resumed at eu-west after 0.8 s\n"


@pytest.mark.parametrize("display", [JsonDisplay(), TerminalDisplay(None)], ids=["json", "terminal"])
def test_that_webtransport_does_not_come_through_is_said_beside_the_transcript(
    capsys: pytest.CaptureFixture[str], display: Display
) -> None:
    with display:
        display.show(FellBack(at="wss://a/v1/stream", why="nobody listens"))
    out, err = capsys.readouterr()
    assert out == ""
    assert err == "WebTransport cannot be reached; going on over WebSocket at wss://a/v1/stream (nobody listens)\n"


def test_without_a_terminal_finals_are_printed_with_their_time_and_partials_are_not(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with TerminalDisplay(63_000) as display:
        for message in SESSION:
            display.show(message)
    out, err = capsys.readouterr()
    assert out.splitlines() == [
        "01:01.3  call me",
        "01:02.0  240 ms of audio lost",
        "moved to another engine after heartbeat_missed",
        "01:02.0  ",
    ]
    assert err == ""


def test_much_lost_audio_is_told_in_seconds(capsys: pytest.CaptureFixture[str]) -> None:
    with TerminalDisplay(None) as display:
        display.show(AudioLost(500, 1_749))
    assert capsys.readouterr().out == "00:00.5  1.2 s of audio lost\n"


def test_a_move_to_another_version_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    with TerminalDisplay(None) as display:
        display.show(SESSION[0])
        display.show(Migrated("drained", 0, 5, "1"))
        display.show(Migrated("drained", 0, 5, "2"))
    moved = "moved to another engine after drained\n"
    assert capsys.readouterr().out == f"{moved}{moved}version 2 recognises from here on\n"


def test_without_a_terminal_a_long_final_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    text = "[bold]one[/] two " * 60
    with TerminalDisplay(None) as display:
        display.show(FinalMessage(text, 0, 1, ()))
    assert capsys.readouterr().out == f"00:00.0  {text}\n"


def test_an_error_goes_to_standard_error(capsys: pytest.CaptureFixture[str]) -> None:
    with TerminalDisplay(None) as display:
        display.show(ErrorMessage(reason="no_capacity", message="No engine has a free slot. " * 9, retryable=True))
    out, err = capsys.readouterr()
    assert out == ""
    assert err == "no_capacity: " + "No engine has a free slot. " * 9 + "\n"


@pytest.mark.parametrize(
    ("at_ms", "shown"), [(0, "00:00.0"), (59_940, "00:59.9"), (60_000, "01:00.0"), (6_000_000, "100:00.0")]
)
def test_a_final_is_shown_with_minutes_and_seconds(at_ms: int, shown: str, capsys: pytest.CaptureFixture[str]) -> None:
    with TerminalDisplay(None) as display:
        display.show(FinalMessage("x", at_ms, at_ms + 1, ()))
    assert capsys.readouterr().out == f"{shown}  x\n"


class Terminal:
    """A pseudo-terminal that is standard output while it is entered."""

    def __init__(self) -> None:
        self._reading, writing = pty.openpty()
        self._file = os.fdopen(writing, "w")
        self._shown = b""

    def __enter__(self) -> Self:
        self._redirection = contextlib.redirect_stdout(self._file)
        self._redirection.__enter__()
        return self

    def __exit__(self, *_error: object) -> None:
        self._redirection.__exit__(None, None, None)
        self._file.close()
        os.close(self._reading)

    @property
    def shown(self) -> str:
        """What was written so far."""
        while select.select([self._reading], [], [], 0)[0]:
            self._shown += os.read(self._reading, 65_536)
        return self._shown.decode()


@pytest.fixture(autouse=True)
def plain_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (("TERM", "xterm"), ("COLUMNS", "60"), ("LINES", "24")):
        monkeypatch.setenv(name, value)
    for name in ("NO_COLOR", "FORCE_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE"):
        monkeypatch.delenv(name, raising=False)


def test_on_a_terminal_the_words_that_may_change_are_shown_too() -> None:
    with Terminal() as terminal:
        with TerminalDisplay(63_000) as display:
            display.show(PartialMessage("call me maybe", 0, 900, 7))
            until_sync(lambda: "call me\x1b[2m maybe\x1b[0m" in terminal.shown, what="the partial")
            display.show(FinalMessage("call her", 0, 900, ()))
        until_sync(lambda: "call her" in terminal.shown, what="the final")


def test_on_a_terminal_the_cursor_is_given_back_also_after_an_error() -> None:
    def interrupted() -> None:
        with TerminalDisplay(None) as display:
            display.show(SESSION[1])
            raise KeyboardInterrupt

    with Terminal() as terminal:
        with pytest.raises(KeyboardInterrupt):
            interrupted()
        until_sync(lambda: terminal.shown.rfind("\x1b[?25h") > terminal.shown.rfind("\x1b[?25l") >= 0)


def test_a_throttled_session_says_so_once_and_when_it_goes_on(capsys: pytest.CaptureFixture[str]) -> None:
    waiting = Usage(0, 5, remaining_us=0, level="project", is_throttled=True, retry_after_ms=1_500)
    with TerminalDisplay(None) as display:
        for message in (Usage(0, 1), waiting, waiting, Usage(0, 9), Usage(0, 9)):
            display.show(message)
    lines = capsys.readouterr().out.splitlines()
    assert [line.partition(":")[0] for line in lines] == [
        "the compute of the project is used up",
        "there is compute again",
    ]
