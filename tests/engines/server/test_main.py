"""Promises of the engine process."""

from __future__ import annotations

import json
import signal
import wave
from pathlib import Path
from typing import TYPE_CHECKING, Any

import grpc.aio
import pytest

from engines.proto import engine_pb2
from engines.server.main import (
    EXIT_ADDRESS_TAKEN,
    EXIT_INFERENCE_DIED,
    EXIT_MODEL_REFUSED,
    EXIT_TERMINATED,
    EXIT_USAGE,
    main,
)
from tests.harness.metadata_servers import AzureReplay

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

pytestmark = pytest.mark.integration

Start = Callable[..., Awaitable[Any]] if TYPE_CHECKING else Any
Run = Callable[..., Awaitable[tuple[int, list[str]]]] if TYPE_CHECKING else Any
Dial = Callable[[str], Awaitable[Any]] if TYPE_CHECKING else Any

RECORDINGS = Path(__file__).parents[3] / "engines" / "models" / "recordings"
HALF_SECOND = b"\x07\x00" * 8_000


def opening(stream_id: int = 1) -> engine_pb2.StreamCommand:
    return engine_pb2.StreamCommand(
        stream_id=stream_id,
        open=engine_pb2.Open(session_id="s", epoch=1, min_trailing_silence_ms=800, max_utterance_ms=30_000),
    )


def audio(pcm16: bytes, stream_id: int = 1) -> engine_pb2.StreamCommand:
    return engine_pb2.StreamCommand(stream_id=stream_id, audio=pcm16)


def finish(at_sample: int, stream_id: int = 1) -> engine_pb2.StreamCommand:
    return engine_pb2.StreamCommand(stream_id=stream_id, finish=engine_pb2.Cut(at_sample=at_sample))


async def test_the_ready_line_is_the_only_thing_on_stdout_and_logs_carry_no_words(
    start_engine: Start, dial: Dial
) -> None:
    engine = await start_engine("--pool", "blue")
    assert engine.ready == {
        "address": engine.address,
        "pool": "blue",
        "pid": engine.process.pid,
        "model": "scripted",
        "model_version": "scripted-4",
        "models": ["scripted scripted-4"],
        "slots": 4,
    }
    link = await dial(engine.address)
    await link.send(opening(), audio(HALF_SECOND), finish(8_000))
    final = await link.read_until("final")
    assert final.final.text == "w0v7"
    engine.process.terminate()
    assert await engine.wait() == 0
    assert engine.process.stdout is not None
    assert await engine.process.stdout.read() == b""
    stderr = await engine.rest_of_stderr()
    assert "w0v7" not in stderr
    events = [json.loads(line)["event"] for line in stderr.splitlines()]
    assert events[:2] == ["engine.ready", "link.opened"]
    assert {"engine.draining", "link.closed", "engine.ended"} <= set(events)


async def test_any_free_tcp_port_is_announced_and_answers(start_engine: Start, dial: Dial) -> None:
    engine = await start_engine("--listen", "127.0.0.1:0")
    host, port = engine.address.split(":")
    assert host == "127.0.0.1"
    assert int(port) > 0
    link = await dial(engine.address)
    await link.send(opening())
    assert (await link.read_until("granted")).granted.model == "scripted"


async def test_sigterm_lets_streams_finish_refuses_new_ones_and_exits_0(start_engine: Start, dial: Dial) -> None:
    engine = await start_engine()
    link = await dial(engine.address)
    await link.send(opening(), audio(HALF_SECOND))
    await link.read_until("progress")
    engine.process.send_signal(signal.SIGTERM)
    while not any(load.is_draining for load in link.loads):
        assert await link.read()
    await link.send(opening(2), finish(8_000))
    assert (await link.read_until("refused", stream_id=2)).refused.reason == "draining"
    assert (await link.read_until("final")).final.text == "w0v7"
    assert await engine.wait() == 0


async def test_a_stream_that_outlives_the_drain_is_handed_back(start_engine: Start, dial: Dial) -> None:
    engine = await start_engine("--drain-deadline-ms", "100")
    link = await dial(engine.address)
    await link.send(opening())
    await link.read_until("granted")
    engine.process.send_signal(signal.SIGTERM)
    assert (await link.read_until("lost")).lost.reason == "drained"
    assert await engine.wait() == 0


async def test_a_second_sigterm_ends_at_once(start_engine: Start, dial: Dial) -> None:
    engine = await start_engine("--drain-deadline-ms", "600000")
    link = await dial(engine.address)
    await link.send(opening())
    await link.read_until("granted")
    engine.process.send_signal(signal.SIGTERM)
    while not any(load.is_draining for load in link.loads):
        assert await link.read()
    engine.process.send_signal(signal.SIGTERM)
    assert await engine.wait() == EXIT_TERMINATED


async def test_a_step_that_never_returns_stops_the_heartbeat_then_ends_the_process(
    start_engine: Start, dial: Dial
) -> None:
    engine = await start_engine(
        "--script", "hang_after_words=1", "--heartbeat-interval-ms", "50", "--stuck-after-ms", "600"
    )
    link = await dial(engine.address)
    await link.send(opening(), audio(HALF_SECOND * 2))
    await link.read_until("progress")
    loads_before = len(link.loads)
    assert (await link.read_until("lost")).lost.reason == "engine_failed"
    assert len(link.loads) - loads_before <= 2
    assert await engine.wait() == EXIT_INFERENCE_DIED


async def test_an_address_that_answers_is_not_taken_away(start_engine: Start, run_engine: Run) -> None:
    first = await start_engine()
    code, mistakes = await run_engine("--recogniser", "scripted", "--listen", first.address)
    assert (code, len(mistakes)) == (EXIT_ADDRESS_TAKEN, 1)


@pytest.mark.parametrize(
    "arguments", [["--slots", "0"], ["--listen", "nowhere"], ["--what"], ["--script", "step_delay_ms=soon"]]
)
def test_a_bad_option_is_64_before_anything_is_loaded(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments) == EXIT_USAGE
    assert len(capsys.readouterr().err.splitlines()) == 1


async def test_a_refused_model_is_65_with_one_mistake_a_line(run_engine: Run, tmp_path: Path) -> None:
    (tmp_path / "model.onnx").write_bytes(b"no model")
    code, mistakes = await run_engine("--model", str(tmp_path))
    assert code == EXIT_MODEL_REFUSED
    assert mistakes
    assert not any("Traceback" in mistake for mistake in mistakes)


async def test_the_embedded_model_is_served_when_nothing_else_is_asked_for(start_engine: Start, dial: Dial) -> None:
    engine = await start_engine("--recogniser", "ctc")
    with wave.open(str(RECORDINGS / "appointment_shelby.wav")) as recording:
        pcm16 = recording.readframes(recording.getnframes())
    link = await dial(engine.address)
    await link.send(opening(), audio(pcm16), finish(len(pcm16) // 2))
    final = await link.read_until("final")
    assert "appointment" in final.final.text
    assert final.final.end_sample == len(pcm16) // 2


async def test_a_notice_by_hand_empties_the_engine_which_then_ends_with_0(start_engine: Start, dial: Dial) -> None:
    engine = await start_engine("--preemption", "http:127.0.0.1:0")
    link = await dial(engine.address)
    await link.send(opening(), audio(HALF_SECOND))
    await link.read_until("progress")
    async with grpc.aio.insecure_channel(engine.address) as channel:
        preempt = channel.unary_unary(
            "/patchbay.engine.v1.Engine/Preempt",
            request_serializer=engine_pb2.PreemptRequest.SerializeToString,
            response_deserializer=engine_pb2.PreemptReply.FromString,
        )
        at_risk = await preempt(engine_pb2.PreemptRequest(kind="rebalance"))
        assert (at_risk.open_streams, at_risk.leaves_in_ms, at_risk.is_at_risk) == (1, 0, True)
        with pytest.raises(grpc.aio.AioRpcError, match="kind"):
            await preempt(engine_pb2.PreemptRequest(kind="shutdown"))
        reply = await preempt(engine_pb2.PreemptRequest(lead_ms=30_000))
        assert (reply.open_streams, reply.leaves_in_ms > 14_000) == (1, True)
    while not any(load.is_draining for load in link.loads):
        assert await link.read()
    assert 14_000 < link.loads[-1].leaves_in_ms <= 15_000
    assert any(load.is_at_risk and not load.is_draining for load in link.loads)
    await link.send(finish(8_000))
    assert (await link.read_until("final")).final.text == "w0v7"
    assert await engine.wait() == 0


async def test_the_last_engine_acknowledges_what_it_left_for(start_engine: Start, dial: Dial, tmp_path: Path) -> None:
    azure = AzureReplay()
    async with azure.serving():
        options = ("--preemption", "azure", "--preemption-endpoint", azure.endpoint, "--preemption-poll-ms", "20")
        engine = await start_engine(*options, "--machine-file", str(tmp_path / "machine.lock"))
        link = await dial(engine.address)
        await link.send(opening())
        await link.read_until("granted")
        event = azure.schedule("Preempt")
        while not any(load.is_draining for load in link.loads):
            assert await link.read()
        assert azure.started == []
        await link.send(finish(0))
        assert await engine.wait() == 0
    assert azure.started == [event]
