"""Models that come and go while an engine runs: what an operator may ask for, and how it is refused."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import grpc
import structlog

from engines.errors import BackendFailed, ModelRejected
from engines.interface import LossReason
from engines.proto import engine_pb2
from engines.registry import WHOLE_PERMILLE
from engines.server.codec import fill_load, fill_model_load
from engines.server.loading import PathNotAllowed
from engines.server.shelf import AlreadyLoaded, LastModel, UnknownModel

if TYPE_CHECKING:
    from engines.interface import ModelLoad
    from engines.server.loading import ModelLoading
    from engines.server.shelf import LoadedModel, ShelvedModel
    from engines.server.streams import StreamHost

log = structlog.get_logger("engine")

_MAX_SLOTS = 10_000
_MAX_DEADLINE_MS = 24 * 3_600_000


class AdminRefused(Exception):
    """What was asked for is not done; `status` is a gRPC status, the text says why."""

    def __init__(self, status: grpc.StatusCode, text: str) -> None:
        super().__init__(text)
        self.status = status


class ModelAdmin:
    """Used on the engine's event loop. One model is loaded at a time."""

    def __init__(self, host: StreamHost, loading: ModelLoading) -> None:
        self._host = host
        self._loading = loading
        self._is_loading = asyncio.Lock()

    async def load(self, request: engine_pb2.LoadModelRequest) -> engine_pb2.ModelState:
        """Load a model beside the others; streams go on meanwhile.

        Raises:
            AdminRefused: the path, the model or the numbers will not do, or another model is being loaded.
        """
        if not 0 <= request.slots <= _MAX_SLOTS or not 0 <= request.share_permille <= WHOLE_PERMILLE:
            raise AdminRefused(
                grpc.StatusCode.INVALID_ARGUMENT,
                f"slots must be 0 to {_MAX_SLOTS} and share_permille 0 to {WHOLE_PERMILLE}",
            )
        if self._is_loading.locked():
            raise AdminRefused(grpc.StatusCode.UNAVAILABLE, "another model is being loaded: try again")
        async with self._is_loading:
            log.info("model.loading", path=request.path)
            loaded = await self._read(request)
            try:
                model = self._host.shelf.add(loaded, share_permille=request.share_permille)
            except AlreadyLoaded as error:
                loaded.recogniser.shut_down()
                raise AdminRefused(grpc.StatusCode.ALREADY_EXISTS, str(error)) from error
        self._host.slot_changes += 1
        log.info("model.loaded", model=model.name, version=model.version, slots=model.table.size)
        return self._state(model, self._load_of(model))

    async def _read(self, request: engine_pb2.LoadModelRequest) -> LoadedModel:
        try:
            return await asyncio.to_thread(self._loading.load_later, request.path, slots=request.slots)
        except PathNotAllowed as error:
            raise AdminRefused(grpc.StatusCode.PERMISSION_DENIED, str(error)) from error
        except ModelRejected as error:
            log.warning("model.refused", path=request.path, mistakes=error.mistakes)
            raise AdminRefused(grpc.StatusCode.INVALID_ARGUMENT, "; ".join(error.mistakes)) from error
        except BackendFailed as error:
            log.warning("model.refused", path=request.path, mistakes=[str(error)])
            raise AdminRefused(grpc.StatusCode.INTERNAL, str(error)) from error

    async def unload(self, request: engine_pb2.UnloadModelRequest) -> engine_pb2.ModelState:
        """Take no new streams for a model; it goes with its last one, which is handed back at the deadline.

        Raises:
            AdminRefused: it is not loaded, or it is the last one.
        """
        if not 0 <= request.deadline_ms <= _MAX_DEADLINE_MS:
            raise AdminRefused(grpc.StatusCode.INVALID_ARGUMENT, f"deadline_ms must be 0 to {_MAX_DEADLINE_MS}")
        shelf = self._host.shelf
        try:
            before = next((found for found in shelf.models if _is(found, request)), None)
            load = None if before is None else self._load_of(before)
            model = shelf.begin_removal(request.name, request.version)
        except UnknownModel as error:
            raise AdminRefused(grpc.StatusCode.NOT_FOUND, str(error)) from error
        except LastModel as error:
            raise AdminRefused(grpc.StatusCode.FAILED_PRECONDITION, str(error)) from error
        self._host.slot_changes += 1
        log.info("model.unloading", model=model.name, version=model.version, streams=model.table.used)
        asyncio.get_running_loop().call_later(request.deadline_ms / 1_000, self._hand_back, model)
        return self._state(model, self._load_of(model) if shelf.is_loaded(model) else load)

    async def share(self, request: engine_pb2.ShareTrafficRequest) -> None:
        """Give a version a share of the new streams of its name.

        Raises:
            AdminRefused: it is not loaded, or the share is none.
        """
        if not 0 <= request.share_permille <= WHOLE_PERMILLE:
            raise AdminRefused(grpc.StatusCode.INVALID_ARGUMENT, f"share_permille must be 0 to {WHOLE_PERMILLE}")
        try:
            self._host.shelf.share(request.name, request.version, request.share_permille)
        except UnknownModel as error:
            raise AdminRefused(grpc.StatusCode.NOT_FOUND, str(error)) from error
        log.info("model.shared", model=request.name, version=request.version, permille=request.share_permille)

    def description(self, *, heartbeat_interval_ms: int) -> engine_pb2.Description:
        """What is loaded, what it costs, and how busy the engine was."""
        figures = self._host.figures
        report = self._host.load()
        reply = engine_pb2.Description(
            pool=report.pool, busy_us_total=figures.busy_us_total, charged_us_total=figures.charged_us_total
        )
        fill_load(reply.load, report, heartbeat_interval_ms=heartbeat_interval_ms)
        for model, load in zip(self._host.shelf.models, report.models, strict=True):
            reply.models.append(self._state(model, load))
        return reply

    def _hand_back(self, model: ShelvedModel) -> None:
        for stream in model.table.owners():
            self._host.lose(stream, LossReason.drained)

    def _load_of(self, model: ShelvedModel) -> ModelLoad:
        shelf = self._host.shelf
        return shelf.loads()[shelf.models.index(model)]

    def _state(self, model: ShelvedModel, load: ModelLoad | None) -> engine_pb2.ModelState:
        state = engine_pb2.ModelState(path=model.path, slots_laid_out=model.table.size)
        if load is not None:
            fill_model_load(state.load, load)
        for entry in model.step_times:
            state.step_times.add(batch=entry.batch, step_us=entry.step_us)
        memory = model.memory
        state.memory.device = memory.device
        state.memory.weights_bytes = memory.weights_bytes
        state.memory.state_bytes_per_slot = memory.state_bytes_per_slot
        state.memory.state_bytes_total = memory.state_bytes_total
        return state


def _is(model: ShelvedModel, request: engine_pb2.UnloadModelRequest) -> bool:
    return (model.name, model.version) == (request.name, request.version)
