"""Speaks to a gateway with pywebtransport, in an environment of its own: it shares no line with our client.

usage: pywebtransport_client.py        reads one line of JSON from standard input: url, headers, ca_file, timeout_s;
    stream: messages for the session's stream, [kind, base64]; datagrams: [number, base64], each sent before the message
    of that number

Prints one line of JSON for each message of the server, then one with `left`, the bytes of a message that was cut, or
with `failed`.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import ssl
import sys
from typing import Any

from pywebtransport import ClientConfig, WebTransportClient, WebTransportSession, WebTransportStream

HEADER_BYTES = 4


def framed(kind: int, payload: bytes) -> bytes:
    return bytes([kind]) + len(payload).to_bytes(3, "big") + payload


async def talk(session: WebTransportSession, task: dict[str, Any]) -> None:
    stream = await session.create_bidirectional_stream()
    reading = asyncio.create_task(listen(stream))
    lane = await session.datagrams if task["datagrams"] else None
    for number, (kind, payload) in enumerate(task["stream"]):
        for before, datagram in task["datagrams"]:
            if before == number and lane is not None:
                await lane.send(data=base64.b64decode(datagram))
        if lane is not None and number:
            await asyncio.sleep(0.05)  # it says nothing of when its datagrams are out
        await stream.write(data=framed(kind, base64.b64decode(payload)))
    await reading
    await stream.close()  # "I have read all"


async def listen(stream: WebTransportStream) -> None:
    """Print what the server says, to the end of its half of the stream."""
    buffer = b""
    while data := await stream.read():
        buffer += data
        while len(buffer) >= HEADER_BYTES and len(buffer) >= HEADER_BYTES + (
            length := int.from_bytes(buffer[1:HEADER_BYTES], "big")
        ):
            kind, payload = buffer[0], buffer[HEADER_BYTES : HEADER_BYTES + length]
            buffer = buffer[HEADER_BYTES + length :]
            say({"kind": kind, "text": payload.decode()})
    say({"left": len(buffer)})


def say(row: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(row) + "\n")
    sys.stdout.flush()


async def main() -> None:
    task = json.loads(sys.stdin.readline())
    config = ClientConfig(
        ca_certs=task["ca_file"],
        verify_mode=ssl.CERT_REQUIRED if task["ca_file"] else ssl.CERT_NONE,
        connect_timeout=task["timeout_s"],
        max_retries=0,
    )
    async with WebTransportClient(config=config) as client:
        try:
            session = await client.connect(url=task["url"], headers=task["headers"])
        except Exception as failure:  # noqa: BLE001  # whatever it is, the test shows it
            say({"failed": f"{type(failure).__name__}: {failure}"})
            return
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(task["timeout_s"]):
                await talk(session, task)


asyncio.run(main())
