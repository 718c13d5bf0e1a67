"""A gateway is killed in mid-utterance, or hangs: its clients go on at the other one; no word is lost or doubled.

Every org may have one session, so a place that its dead gateway still held would refuse the next one.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from typing import TYPE_CHECKING

import pytest

from gateway.cli.connection import TransportChoice, connect
from gateway.cli.resuming import Endpoint
from gateway.errors import Reason
from gateway.wire.messages import Ack, Finished, Resume, Start, Started
from tests.harness.caller import Caller
from tests.harness.gateway_pair import GatewayPair, Talker, gateway_pair
from tests.harness.limited_gateway import bill_in
from tests.harness.recordings import pieces_of, talk
from tests.harness.region import stopped
from tests.harness.waiting import until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

pytestmark = [pytest.mark.integration, pytest.mark.timeout(1_800), pytest.mark.alone]

AUDIO_MS = 10_000
SPEED = 8.0
SHORT_ROUNDS, LONG_ROUNDS = 1, 25
SHORT_CLIENTS, LONG_CLIENTS = 4, 10
KILL_AFTER_S = (0.1, 1.0)


def expected_words(pcm16: bytes) -> list[str]:
    """What the scripted engine says of it; see engines.recognition.scripted."""
    return [
        f"w{start}v{int.from_bytes(pcm16[2 * start : 2 * start + 2], 'little', signed=True)}"
        for start in range(0, len(pcm16) // 2, 8_000)
    ]


async def one_round(pair: GatewayPair, number: int, clients: int, dice: random.Random) -> list[Talker]:
    """Clients talk to `a`, which is killed; all must be done at `b`."""
    talkers = [Talker() for _ in range(clients)]
    audio = [talk(1_000 * number + index, duration_ms=AUDIO_MS) for index in range(clients)]
    async with asyncio.TaskGroup() as tasks:
        for index, talker in enumerate(talkers):
            protocol = "ws" if index % 2 else "grpc"
            endpoint = Endpoint(
                pair.url("a", protocol), pair.token(f"t{number}-{index}"), protocol=TransportChoice(protocol)
            )
            tasks.create_task(talker.talk(endpoint, pieces_of(audio[index]), speed=SPEED))
        await until(lambda: all(talker.started for talker in talkers), what="all sessions")
        await asyncio.sleep(dice.uniform(*KILL_AFTER_S))
        await pair.kill("a")
    for talker, pcm16 in zip(talkers, audio, strict=True):
        assert isinstance(talker.end, Finished), talker.end
        assert talker.end.audio_ms == len(pcm16) // 32
        assert len(talker.resumptions) == 1
        assert talker.words == expected_words(pcm16)
        assert len({started.session_id for started in talker.started}) == 1
    return talkers


@contextlib.asynccontextmanager
async def opened(pair: GatewayPair, name: str, tenant: str, protocol: str, start: Start) -> AsyncIterator[Caller]:
    """A session as a client of another make has it."""
    choice = TransportChoice(protocol)
    async with connect(pair.url(name, protocol), pair.token(tenant), protocol=choice) as connection:
        caller = Caller(connection)
        listening = asyncio.create_task(caller.listen())
        try:
            await caller.start(start)
            yield caller
        finally:
            listening.cancel()
            await asyncio.gather(listening, return_exceptions=True)


async def hanging_round(pair: GatewayPair) -> None:
    """`a` is stopped as if for ever, and comes back when its client is long gone."""
    talker, pcm16 = Talker(), talk(77, duration_ms=AUDIO_MS)
    endpoint = Endpoint(pair.url("a", "ws"), pair.token("hanging"))
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(talker.talk(endpoint, pieces_of(pcm16), speed=SPEED))
        await until(lambda: len(talker.words) >= 4, what="the first final")
        with stopped(pair.pid("a")):
            await until(lambda: bool(talker.resumptions), what="the session at the other gateway")
    assert isinstance(talker.end, Finished), talker.end
    assert talker.words == expected_words(pcm16)
    session_id = talker.started[0].session_id

    def ends() -> list[str]:
        return [row["reason"] for row in pair.events("a", "session.closed") if row["session"] == session_id]

    await until(lambda: bool(ends()), what="the end at the gateway that hung")
    assert ends()[0] in ("resumed_elsewhere", "client_gone")


async def forgetful_round(pair: GatewayPair) -> None:
    """The gateway is killed, and all that its Redis knew is gone: only the client knows where its session stood."""
    talkers, pcm16 = {protocol: Talker() for protocol in ("ws", "grpc")}, talk(79, duration_ms=AUDIO_MS)
    async with asyncio.TaskGroup() as tasks:
        for protocol, talker in talkers.items():
            token = pair.token(f"forgotten-{protocol}")
            endpoint = Endpoint(pair.url("a", protocol), token, protocol=TransportChoice(protocol))
            tasks.create_task(talker.talk(endpoint, pieces_of(pcm16), speed=SPEED))
        await until(lambda: all(len(talker.words) >= 4 for talker in talkers.values()), what="the first finals")
        await asyncio.gather(pair.kill("a"), asyncio.to_thread(pair.redis.restart_empty))
    for talker in talkers.values():
        assert isinstance(talker.end, Finished), talker.end
        assert talker.resumptions
        assert talker.words == expected_words(pcm16)


async def strangers_round(pair: GatewayPair) -> None:
    """A session is gone on with by whom it belongs to, and then its old connection hears so."""
    speech = talk(78, duration_ms=8_000)
    async with opened(pair, "a", "owner", "ws", Start()) as old:
        await old.until_started()
        await old.say_all(pieces_of(speech[: 32 * 2_500]))
        await until(lambda: bool(old.all_of(Ack)), what="the first ack")
        token, sample = old.all_of(Started)[0].resume_token, old.all_of(Ack)[-1].sample
        assert sample == 32_000
        resume = Resume(token=token, from_sample=sample)
        for tenant, start, reason in (
            ("stranger", Start(resume=resume), Reason.resume_token_invalid),
            ("stranger", Start(resume=Resume(token=token[:-2] + "xx", from_sample=0)), Reason.resume_token_invalid),
        ):
            async with opened(pair, "b", tenant, "grpc", start) as refused:
                await refused.until_over()
                assert refused.error is not None
                assert refused.error.reason == reason
        assert not old.is_over
        # The place of the old session is the only one: the resume token in a header gives it back in time.
        endpoint, choice = pair.url("b", "grpc"), TransportChoice.grpc
        async with connect(endpoint, pair.token("owner"), protocol=choice, resume_token=token) as connection:
            new = Caller(connection)
            listening = asyncio.create_task(new.listen())
            await new.start(Start(resume=resume))
            await new.say_all(pieces_of(speech[2 * sample :]))
            await new.finish()
            await new.until_over()
            await listening
        await old.say_all(pieces_of(speech[32 * 2_500 : 32 * 5_000]))
        await old.until_over()
    assert new.is_finished, new.error or new.failure
    assert new.all_of(Started)[0].resumed_from_sample == sample
    assert old.words[:4] + new.words == expected_words(speech)
    assert old.error is not None
    assert old.error.reason == Reason.resumed_elsewhere


async def test_clients_of_a_killed_gateway_go_on_at_another_and_lose_no_word(
    tmp_path: Path, *, is_long: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    dice = random.Random(5)
    pauses_ms: list[int] = []
    clients = LONG_CLIENTS if is_long else SHORT_CLIENTS
    rounds = LONG_ROUNDS if is_long else SHORT_ROUNDS
    async with gateway_pair(tmp_path) as pair:
        for number in range(rounds):
            talkers = await one_round(pair, number, clients, dice)
            pauses_ms += [talker.resumptions[0].pause_elapsed_ms for talker in talkers]
            await pair.start("a")  # its journal has what it had not settled yet
        await strangers_round(pair)
        await hanging_round(pair)
        orgs = ["owner"] + [f"t{number}-{index}" for number in range(rounds) for index in range(clients)]

        def is_settled() -> bool:
            return all(settled == recorded == billed > 0 for settled, recorded, billed in map(bill_of, orgs))

        def bill_of(org: str) -> tuple[int, int, int]:
            return bill_in(pair.redis, org)

        await until(is_settled, within_s=60, what="the bill of every session")
        await forgetful_round(pair)
    pauses_ms.sort()
    with capsys.disabled():
        print(
            f"\n{len(pauses_ms)} sessions of killed gateways resumed: pause p50 {pauses_ms[len(pauses_ms) // 2]} ms, "
            f"p99 {pauses_ms[len(pauses_ms) * 99 // 100]} ms, longest {pauses_ms[-1]} ms"
        )
