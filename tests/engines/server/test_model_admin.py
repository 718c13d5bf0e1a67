"""Promises to operators: models come and go under live streams. A real engine process with the embedded model."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import grpc
import grpc.aio
import onnxruntime
import pytest

from engines.proto import engine_pb2
from engines.server.service import SERVICE_NAME

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

pytestmark = pytest.mark.integration

Start = Callable[..., Awaitable[Any]] if TYPE_CHECKING else Any
Dial = Callable[[str], Awaitable[Any]] if TYPE_CHECKING else Any

MODELS = Path(__file__).parents[3] / "engines" / "models"
EMBEDDED = MODELS / "embedded"


class Admin:
    """What an operator's tool asks."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._channel = channel

    async def ask(self, method: str, request: Any, reply: Any) -> Any:
        call = self._channel.unary_unary(
            f"/{SERVICE_NAME}/{method}",
            request_serializer=type(request).SerializeToString,
            response_deserializer=reply.FromString,
        )
        return await call(request, timeout=60)

    async def describe(self) -> engine_pb2.Description:
        found: engine_pb2.Description = await self.ask("Describe", engine_pb2.DescribeRequest(), engine_pb2.Description)
        return found

    async def load(self, path: Path | str, **fields: int) -> engine_pb2.ModelState:
        request = engine_pb2.LoadModelRequest(path=str(path), **fields)
        found: engine_pb2.ModelState = await self.ask("LoadModel", request, engine_pb2.ModelState)
        return found

    async def unload(self, name: str, version: str, *, deadline_ms: int = 60_000) -> engine_pb2.ModelState:
        request = engine_pb2.UnloadModelRequest(name=name, version=version, deadline_ms=deadline_ms)
        found: engine_pb2.ModelState = await self.ask("UnloadModel", request, engine_pb2.ModelState)
        return found

    async def share(self, name: str, version: str, permille: int) -> dict[str, int]:
        request = engine_pb2.ShareTrafficRequest(name=name, version=version, share_permille=permille)
        found = await self.ask("ShareTraffic", request, engine_pb2.Description)
        return {model.load.version: model.load.share_permille for model in found.models}

    async def refusal(self, asking: Awaitable[object]) -> tuple[grpc.StatusCode, str]:
        with pytest.raises(grpc.aio.AioRpcError) as error:
            await asking
        return error.value.code(), error.value.details() or ""


@pytest.fixture
def second_version(tmp_path: Path) -> Path:
    """The embedded model under its own name, with a byte more in its metadata: another version."""
    folder = tmp_path / "models" / "embedded"
    shutil.copytree(EMBEDDED, folder)
    with (folder / "model.onnx").open("ab") as file:
        file.write(b"\x12\x01x")  # ModelProto.producer_name: no weight is touched
    onnxruntime.InferenceSession(str(folder / "model.onnx"))
    return folder


@pytest.fixture
async def engine(start_engine: Start, second_version: Path) -> Any:
    return await start_engine(
        "--recogniser", "ctc", "--model", str(EMBEDDED), "--model-folder", str(second_version.parent), "--slots", "4"
    )


@pytest.fixture
async def admin(engine: Any) -> AsyncIterator[Admin]:
    async with grpc.aio.insecure_channel(engine.address) as channel:
        yield Admin(channel)


def opening(stream_id: int, session_id: str = "s", **fields: Any) -> engine_pb2.StreamCommand:
    message = engine_pb2.Open(
        session_id=session_id, epoch=1, min_trailing_silence_ms=800, max_utterance_ms=30_000, **fields
    )
    return engine_pb2.StreamCommand(stream_id=stream_id, open=message)


async def test_a_new_version_is_warmed_beside_the_old_one_shared_out_and_takes_over_under_live_streams(
    admin: Admin, engine: Any, dial: Dial, second_version: Path
) -> None:
    link = await dial(engine.address)
    await link.send(opening(1))
    old = (await link.read_until("granted", stream_id=1)).granted.model_version
    state = await admin.load(second_version, share_permille=0)
    new = state.load.version
    assert (state.load.name, state.load.share_permille, state.slots_laid_out) == ("embedded", 0, 4)
    assert new != old
    assert state.memory.state_bytes_per_slot > 200_000
    assert [entry.batch for entry in state.step_times] == [1, 2, 4]

    await link.send(opening(2))
    assert (await link.read_until("granted", stream_id=2)).granted.model_version == old
    assert await admin.share("embedded", new, 1_000) == {old: 0, new: 1_000}
    await link.send(opening(3), opening(4, model="embedded", model_version=old))
    assert (await link.read_until("granted", stream_id=3)).granted.model_version == new
    assert (await link.read_until("granted", stream_id=4)).granted.model_version == old

    leaving = await admin.unload("embedded", old)
    assert (leaving.load.slots_used, leaving.load.is_leaving) == (3, True)
    while not any(load.models and load.models[0].is_leaving for load in link.loads):
        assert await link.read()
    ends = [engine_pb2.StreamCommand(stream_id=number, finish=engine_pb2.Cut(at_sample=0)) for number in (1, 2, 4)]
    await link.send(*ends)
    for number in (1, 2, 4):
        assert (await link.read_until("final", stream_id=number)).final.reason == "finish"
    while [model.version for model in link.loads[-1].models] != [new]:
        assert await link.read()
    await link.send(opening(5, model="embedded", model_version=old))
    assert (await link.read_until("refused", stream_id=5)).refused.reason == "unknown_model"


async def test_streams_that_outlive_an_unload_s_deadline_are_handed_back(
    admin: Admin, engine: Any, dial: Dial, second_version: Path
) -> None:
    link = await dial(engine.address)
    await link.send(opening(1))
    old = (await link.read_until("granted")).granted.model_version
    await admin.load(second_version)
    await admin.unload("embedded", old, deadline_ms=50)
    assert (await link.read_until("lost")).lost.reason == "drained"
    async with asyncio.timeout(60):
        while len((await admin.describe()).models) > 1:
            await asyncio.sleep(0.01)


async def test_what_an_operator_may_not_have_is_refused_with_a_reason_and_changes_nothing(
    admin: Admin, second_version: Path
) -> None:
    before = await admin.describe()
    version = before.models[0].load.version
    codes = grpc.StatusCode
    assert (await admin.refusal(admin.load("/etc")))[0] is codes.PERMISSION_DENIED
    assert (await admin.refusal(admin.load(second_version, share_permille=1_001)))[0] is codes.INVALID_ARGUMENT
    (second_version / "tokens.txt").unlink()
    code, text = await admin.refusal(admin.load(second_version))
    assert code is codes.INVALID_ARGUMENT
    assert "tokens.txt" in text
    assert (await admin.refusal(admin.unload("embedded", "other")))[0] is codes.NOT_FOUND
    assert (await admin.refusal(admin.unload("embedded", version)))[0] is codes.FAILED_PRECONDITION
    assert (await admin.refusal(admin.unload("embedded", version, deadline_ms=-1)))[0] is codes.INVALID_ARGUMENT
    assert (await admin.refusal(admin.share("embedded", "other", 5)))[0] is codes.NOT_FOUND
    assert (await admin.refusal(admin.share("embedded", version, -5)))[0] is codes.INVALID_ARGUMENT
    after = await admin.describe()
    assert [model.load.version for model in after.models] == [version]
    assert after.models[0].load.share_permille == 1_000


async def test_a_version_that_is_loaded_is_not_loaded_again(admin: Admin, second_version: Path) -> None:
    await admin.load(second_version)
    code, _ = await admin.refusal(admin.load(second_version))
    assert code is grpc.StatusCode.ALREADY_EXISTS
    assert len((await admin.describe()).models) == 2
