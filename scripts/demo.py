"""`make demo`: starts a whole region, transcribes shipped recordings through it, live, and compares the words.

client → gateway process → engine process → model → engine → gateway → client, over WebSocket and then over gRPC.
Exits 0 when the words are within the word error rate that the model card states for these recordings.
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Self

from gateway.cli.display import TerminalDisplay
from gateway.wire.codec import decode_server
from gateway.wire.messages import FinalMessage, PartialMessage

if TYPE_CHECKING:
    from gateway.wire.messages import ServerMessage

ROOT = Path(__file__).parent.parent
CARD = ROOT / "engines" / "models" / "embedded" / "MODEL_CARD.md"
RECORDINGS = ROOT / "engines" / "models" / "recordings"
PATCHBAY = Path(sys.executable).parent / "patchbay"
SHOWN = ("dialogue_awb.wav", "ws"), ("digits_rms.wav", "grpc")
READY_TIMEOUT_S = 60


def main() -> int:
    with tempfile.TemporaryDirectory(prefix="patchbay-demo-") as state:
        environment = os.environ | {"XDG_STATE_HOME": state}
        print("starting a gateway and an engine on this machine …", flush=True)
        region = subprocess.Popen(
            [PATCHBAY, "up", "--json", "--port", "0"], env=environment, stdout=subprocess.PIPE, text=True
        )
        try:
            line = region.stdout.readline() if region.stdout else ""
            if not line:
                print("the region did not start", file=sys.stderr)
                return 1
            ready = json.loads(line)
            print(f"  gateway   {ready['websocket']}   gRPC {ready['grpc']}")
            print(f"  engine    pid {ready['engines'][0]['pid']}, pool {ready['engines'][0]['pool']}\n", flush=True)
            return _transcribe_all(environment)
        finally:
            region.send_signal(signal.SIGTERM)
            region.wait(READY_TIMEOUT_S)


def _transcribe_all(environment: dict[str, str]) -> int:
    spoken = {row["file"]: row["text"] for row in json.loads((RECORDINGS / "transcripts.json").read_text())}
    errors = words = 0
    for name, protocol in SHOWN:
        print(f"— {name} over {protocol}", flush=True)
        heard = _run([PATCHBAY, "transcribe", RECORDINGS / name, "--protocol", protocol], environment)
        if heard is None:
            return 1
        errors += word_errors(spoken[name].split(), heard.split())
        words += len(spoken[name].split())
        print()
    percent, stated = 100 * errors / words, stated_percent()
    print(f"{words} words, {errors} wrong: word error rate {percent:.1f} %; the model card states {stated} %")
    return 0 if percent <= stated else 1


def stated_percent() -> float:
    """The word error rate on the shipped recordings, as the model card says it."""
    found = re.search(r"\*\*Shipped recordings\*\*[^*]*\*\*([0-9.]+) %\*\*", CARD.read_text(encoding="utf-8"))
    if found is None:
        raise SystemExit(f"{CARD} does not state the word error rate of the shipped recordings")
    return float(found[1])


def _run(command: list[str | Path], environment: dict[str, str]) -> str | None:
    """Show the transcript as it comes; gives all its words, None if it failed."""
    said = []
    display = TerminalDisplay(None) if sys.stdout.isatty() else LineDisplay()
    with subprocess.Popen([*command, "--json"], env=environment, stdout=subprocess.PIPE, text=True) as client, display:
        for line in client.stdout or ():
            message = decode_server(line)
            display.show(message)
            if isinstance(message, FinalMessage):
                said.append(message.text)
    return " ".join(said) if client.returncode == 0 else None


class LineDisplay:
    """For logs: a line for each message with words, at once."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None: ...

    def show(self, message: ServerMessage) -> None:
        if isinstance(message, PartialMessage | FinalMessage):
            kind = "final" if isinstance(message, FinalMessage) else "partial"
            print(f"  {message.end_ms / 1_000:6.2f} s  {kind:8}{message.text}", flush=True)


def word_errors(spoken: list[str], heard: list[str]) -> int:
    """Substitutions, deletions and insertions: the Levenshtein distance between two lists of words."""
    row = list(range(len(heard) + 1))
    for i, expected in enumerate(spoken, 1):
        above, row = row, [i]
        for j, word in enumerate(heard, 1):
            row.append(min(above[j] + 1, row[j - 1] + 1, above[j - 1] + (expected != word)))
    return row[-1]


if __name__ == "__main__":
    sys.exit(main())
