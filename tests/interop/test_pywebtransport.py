"""pywebtransport, whose HTTP/3 and sessions are its own, speaks to a gateway (scripts/webtransport_client.sh).

What its versions can do:

- 0.5.1 speaks draft-02 and has whole sessions, on the stream and in datagrams. It reads no capsule, so it hears no code
  at the end.
- 0.8.1 speaks draft-13 and has none, as 0.6.1 and 0.7.1 by their code. It takes what follows the answer on the stream
  of a CONNECT for capsules as they are, while RFC 9297 §3.1 puts capsules into DATA frames, and closes the connection
  with H3_FRAME_UNEXPECTED at the first of them. (It waits for the number of streams that it may open, in SETTINGS that
  Safari does not bear.)
- 0.21.1 needs Python 3.12 and is not among these tests. It offers the setting of draft-15 alone, which a server without
  RESET_STREAM_AT must not answer, and asks for no session.
"""

from __future__ import annotations

import asyncio
import base64
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from gateway.wire.audio_datagrams import encode_datagram, encode_mark
from gateway.wire.stream_messages import AUDIO, MARK, TEXT
from tests.contracts.gateway_in_process import GatewayInProcess, running_gateway
from tests.harness.waiting import until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

pytestmark = pytest.mark.interop

HERE = Path(__file__).parent
HOME = HERE.parents[1] / ".venv-webtransport"
PIECE = b"\x01\x00" * 500
START, FINISH = (TEXT, b'{"type":"start"}'), (TEXT, b'{"type":"finish"}')


@pytest.fixture
async def gateway(tmp_path: Path) -> AsyncIterator[GatewayInProcess]:
    async with running_gateway(tmp_path, asyncio.get_running_loop()) as running:
        yield running


def told(payload: bytes) -> str:
    return base64.b64encode(payload).decode()


async def heard_by_it(
    gateway: GatewayInProcess,
    stream: list[tuple[int, bytes]],
    datagrams: list[tuple[int, bytes]] | None = None,
    *,
    token: str | None = None,
    timeout_s: float = 8.0,
    is_newer: bool = False,
) -> list[dict[str, Any]]:
    """What the foreign program printed: the gateway's messages, and how it ended."""
    task = {
        "url": gateway.urls["webtransport"],
        "headers": {"authorization": f"Bearer {gateway.token() if token is None else token}"},
        "ca_file": None,  # it knows no hashes
        "timeout_s": timeout_s,
        "stream": [(kind, told(payload)) for kind, payload in stream],
        "datagrams": [(before, told(payload)) for before, payload in datagrams or ()],
    }
    process = await asyncio.create_subprocess_exec(
        str(HOME / "bin" / "python"),
        str(HERE / "pywebtransport_client.py"),
        env={**os.environ, "PYTHONPATH": str(HOME / "newer") if is_newer else ""},
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(30):
        out, err = await process.communicate(json.dumps(task).encode() + b"\n")
    rows = [json.loads(line) for line in out.splitlines()]
    assert rows, err.decode()
    return [json.loads(row["text"]) if row.get("kind") == TEXT else row for row in rows]


async def test_a_session_on_the_stream_is_the_same(gateway: GatewayInProcess) -> None:
    heard = await heard_by_it(gateway, [START, (AUDIO, PIECE), (AUDIO, PIECE), FINISH])
    assert [row.get("type") for row in heard] == [
        *("started", "final", "utterance_end", "ack", "usage", "finished"),
        None,
    ]
    assert heard[-1] == {"left": 0}
    assert bytes(gateway.pool.last.audio) == PIECE * 2
    assert gateway.refusals() == {("webtransport", "finished"): 1.0}


async def test_audio_in_its_datagrams_arrives_and_what_is_lost_is_told(gateway: GatewayInProcess) -> None:
    heard = await heard_by_it(
        gateway,
        [START, (MARK, encode_mark(3, 1_500)), FINISH],
        [(1, encode_datagram(0, 0, PIECE)), (1, encode_datagram(2, 1_000, PIECE))],
    )
    assert {"type": "audio_lost", "start_ms": 31, "end_ms": 63} in heard
    assert heard[-2] == {"type": "finished", "audio_ms": 93}
    assert bytes(gateway.pool.last.audio) == PIECE + bytes(1_000) + PIECE


async def test_a_refusal_comes_as_a_message(gateway: GatewayInProcess) -> None:
    heard = await heard_by_it(gateway, [START], token="eyJ.no.token")
    assert [(row["type"], row["reason"]) for row in heard[:-1]] == [("error", "token_malformed")]


async def test_its_newer_version_takes_no_capsule_in_a_data_frame(gateway: GatewayInProcess) -> None:
    """It leaves at the first one: the gateway hears that, or not even that it came. Others are served as before."""
    heard = await heard_by_it(gateway, [START], timeout_s=2.0, is_newer=True)
    assert list(heard[0]) == ["failed"]
    others = await heard_by_it(gateway, [START, (AUDIO, PIECE), FINISH])
    assert others[-2]["type"] == "finished"
    await until(lambda: ("webtransport", "finished") in gateway.refusals())
    assert set(gateway.refusals()) <= {("webtransport", "client_gone"), ("webtransport", "finished")}
