"""A WebSocket server that answers as the gateway and its scripted engine would, and does nothing else.

The idiomatic aiohttp server that the gateway is compared with, and what stands behind HAProxy. Answers are made
beforehand; nobody is authenticated, nothing is counted, no second process is asked.
"""

from __future__ import annotations

import asyncio
import json
import sys

import uvloop
from aiohttp import WSMsgType, web

from engines.interface import SAMPLES_PER_MS
from gateway.transports.websocket import PATH
from gateway.wire.codec import encode_server
from gateway.wire.messages import (
    Ack,
    FinalMessage,
    Finished,
    PartialMessage,
    SpeechStartedMessage,
    Started,
    UtteranceEnd,
    WordMessage,
)
from tests.benchmarks.pacing import BLOCKS_PER_UTTERANCE, CYCLES_PER_UTTERANCE, MESSAGE_MS, MESSAGES_PER_BLOCK

Replies = list[list[str]]

_BLOCK_MS = MESSAGE_MS * MESSAGES_PER_BLOCK
_UTTERANCE_AT_MS = 20_000
"""Somewhere in a session: the answers are as long as the gateway's."""


def replies() -> Replies:
    """What is said after each audio message of an utterance."""
    start_ms = _UTTERANCE_AT_MS
    words = tuple(
        WordMessage(f"w{at_ms * SAMPLES_PER_MS}v1000", at_ms, at_ms + _BLOCK_MS, 1.0)
        for at_ms in range(start_ms, start_ms + BLOCKS_PER_UTTERANCE * _BLOCK_MS, _BLOCK_MS)
    )
    said_after: Replies = [[] for _ in range(CYCLES_PER_UTTERANCE)]
    for block in range(1, BLOCKS_PER_UTTERANCE + 1):
        text = " ".join(word.text for word in words[:block])
        end_ms = start_ms + block * _BLOCK_MS
        said = said_after[block * MESSAGES_PER_BLOCK - 1]
        if block == 1:
            said.append(encode_server(SpeechStartedMessage(start_ms)))
        said.append(encode_server(PartialMessage(text, start_ms, end_ms, len(text))))
        if block == BLOCKS_PER_UTTERANCE:
            said.append(encode_server(FinalMessage(text, start_ms, end_ms, words)))
            said.append(encode_server(UtteranceEnd(end_ms, "pause_after_speech")))
            said.append(encode_server(Ack(end_ms)))
    return said_after


async def _answer(request: web.Request) -> web.WebSocketResponse:
    socket = web.WebSocketResponse(compress=False)
    await socket.prepare(request)
    said_after = request.app[_REPLIES]
    received = 0
    async for message in socket:
        if message.type is WSMsgType.BINARY:
            for text in said_after[received % CYCLES_PER_UTTERANCE]:
                await socket.send_str(text)
            received += 1
        elif message.type is WSMsgType.TEXT and '"start"' in message.data:
            await socket.send_str(STARTED)
        elif message.type is WSMsgType.TEXT:
            await socket.send_str(FINISHED)
            await socket.close()
    return socket


STARTED = encode_server(
    Started(session_id="0" * 32, model="sink", model_version="sink", region="local", protocol_version=1)
)
FINISHED = encode_server(Finished(0))
_REPLIES = web.AppKey("replies", Replies)


async def _serve() -> None:
    app = web.Application()
    app[_REPLIES] = replies()
    app.router.add_get(PATH, _answer)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, backlog=1_024).start()
    print(json.dumps({"port": runner.addresses[0][1]}), flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    try:
        uvloop.run(_serve())
    except KeyboardInterrupt:
        sys.exit(0)
