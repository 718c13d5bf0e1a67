"""The models of one engine, as the event loop knows them: which streams they get, and how many fit.

These must stay true:
  - A slot is given away only while the engine can serve it in time beside all that is open (engines/batching/capacity).
  - A model that is leaving is removed from the inference thread when its last stream has ended, never before.
  - The shares of the versions of one name add up to 1,000.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from engines.batching.capacity import ModelDemand, fastest_permille, free_streams, real_time_streams
from engines.batching.commands import AddModel, RemoveModel
from engines.batching.costs import StepCosts
from engines.batching.meter import BayFigures
from engines.batching.slots import SlotTable
from engines.interface import SAMPLE_RATE_HZ, ModelLoad, RefusalReason
from engines.registry import WHOLE_PERMILLE, ModelOffer, choose_model, shares_with

if TYPE_CHECKING:
    from collections.abc import Iterable

    from engines.batching.loop import InferenceLoop
    from engines.batching.slots import Slot
    from engines.contract import BatchRecogniser, StepTime
    from engines.interface import StreamOptions
    from engines.server.streams import HostedStream


class UnknownModel(Exception):
    """No loaded model has this name and version."""


class AlreadyLoaded(Exception):
    """This version of the model is loaded."""


class LastModel(Exception):
    """An engine keeps one model that takes streams."""


@dataclass(frozen=True, slots=True)
class LoadedModel:
    """A recogniser that was rehearsed and that nobody uses. `path` is where its files were."""

    recogniser: BatchRecogniser
    step_times: tuple[StepTime, ...]
    path: str


class ShelvedModel:
    """One loaded version of a model."""

    def __init__(self, bay: int, loaded: LoadedModel, *, max_batch: int, busy_permille: int) -> None:
        recogniser = loaded.recogniser
        self.bay = bay
        self.path = loaded.path
        self.name = recogniser.model
        self.version = recogniser.model_version
        self.language = recogniser.language
        self.window_samples = recogniser.window_samples
        self.mistakes = recogniser.mistakes
        """What is wrong with a stream's options for this model, in sentences."""
        self.memory = recogniser.memory
        self.step_times = loaded.step_times
        self.table: SlotTable[HostedStream] = SlotTable(recogniser.max_slots, bay=bay)
        self.share_permille = WHOLE_PERMILLE
        self.is_leaving = False
        self.costs = StepCosts(loaded.step_times)
        self.step_samples = recogniser.step_samples
        step_us = recogniser.step_samples * 1_000_000 // SAMPLE_RATE_HZ
        capacity = real_time_streams(self.costs, step_us=step_us, max_batch=max_batch, busy_permille=busy_permille)
        fastest = fastest_permille(self.costs, step_us=step_us)
        self.figures_at_start = BayFigures(capacity, is_late=False, fastest_permille=fastest)

    @property
    def offer(self) -> ModelOffer:
        return ModelOffer(
            bay=self.bay,
            name=self.name,
            version=self.version,
            language=self.language,
            share_permille=self.share_permille,
            is_leaving=self.is_leaving,
        )


class ModelShelf:
    """Hands models to the inference loop and takes them back. Used on one event loop.

    Args:
        max_batch: streams of one model in one step; 0: as many as it has slots.
        busy_permille: how much of its time the inference thread may be at work; 0: slots alone count.
    """

    def __init__(self, loop: InferenceLoop, *, max_batch: int, busy_permille: int) -> None:
        self._loop = loop
        self._max_batch = max_batch
        self._busy_permille = busy_permille
        self._models: dict[int, ShelvedModel] = {}
        self._default = ""
        self._next_bay = 0

    @property
    def models(self) -> list[ShelvedModel]:
        """In the order in which they were loaded."""
        return list(self._models.values())

    @property
    def streams(self) -> list[HostedStream]:
        return [stream for model in self._models.values() for stream in model.table.owners()]

    @property
    def slots_used(self) -> int:
        return sum(model.table.used for model in self._models.values())

    @property
    def slots_laid_out(self) -> int:
        return sum(model.table.size for model in self._models.values())

    def has(self, name: str, version: str) -> bool:
        return any((model.name, model.version) == (name, version) for model in self._models.values())

    def add(self, loaded: LoadedModel, *, share_permille: int = WHOLE_PERMILLE) -> ShelvedModel:
        """Take streams for a model from here on; the first one becomes the default.

        Raises:
            AlreadyLoaded: its recogniser is the caller's still.
        """
        recogniser = loaded.recogniser
        if self.has(recogniser.model, recogniser.model_version):
            raise AlreadyLoaded(f"{recogniser.model} {recogniser.model_version} is loaded")
        bay = self._next_bay
        self._next_bay += 1
        max_batch = min(self._max_batch or recogniser.max_slots, recogniser.max_slots)
        model = ShelvedModel(bay, loaded, max_batch=max_batch, busy_permille=self._busy_permille)
        self._models[bay] = model
        self._default = self._default or model.name
        self._loop.put(AddModel(bay, recogniser, model.costs, max_batch, self._busy_permille))
        self._loop.wake()
        self.share(model.name, model.version, share_permille)
        return model

    def choose(self, options: StreamOptions, session_id: str) -> ShelvedModel | RefusalReason:
        """The model that a stream gets; a reason where none fits."""
        offers = [model.offer for model in self._models.values()]
        chosen = choose_model(offers, options, default=self._default, session_id=session_id)
        return chosen if isinstance(chosen, RefusalReason) else self._models[chosen.bay]

    def has_room(self, model: ShelvedModel) -> bool:
        """Whether one more stream of this model would be served in time."""
        return self._free(model) > 0

    def fastest_permille(self, model: ShelvedModel) -> int:
        """How fast one stream of this model alone is recognised, against 1000 for real time."""
        return self._figures_of(model, self._loop.figures.bays).fastest_permille

    def release(self, slot: Slot) -> bool:
        """Take a slot back; False, and nothing happens, when it was released before."""
        model = self._models.get(slot.bay)
        if model is None or not model.table.release(slot):
            return False
        self._remove_if_empty(model)
        return True

    def owner_of(self, slot: Slot) -> HostedStream | None:
        """Who holds this slot in this generation; None once it was released."""
        model = self._models.get(slot.bay)
        return None if model is None else model.table.owner_of(slot)

    def share(self, name: str, version: str, permille: int) -> None:
        """Give one version `permille` of the new streams of its name; the others share the rest as before.

        Raises:
            UnknownModel: it is not loaded, or leaving.
        """
        versions = [model for model in self._models.values() if model.name == name and not model.is_leaving]
        numbers = [number for number, model in enumerate(versions) if model.version == version]
        if not numbers:
            raise UnknownModel(f"{name} {version} is not loaded")
        shares = [model.share_permille for model in versions]
        if len(versions) > 1 and sum(shares) != WHOLE_PERMILLE:
            # The newcomer had none before it was given one.
            shares[numbers[0]] = 0
        for model, share in zip(versions, shares_with(shares, number=numbers[0], permille=permille), strict=True):
            model.share_permille = share

    def begin_removal(self, name: str, version: str) -> ShelvedModel:
        """Take no new streams for a model but those pinned to it; it goes when its last stream has ended.

        Raises:
            UnknownModel: it is not loaded.
            LastModel: no other model would take streams.
        """
        found = [model for model in self._models.values() if (model.name, model.version) == (name, version)]
        if not found:
            raise UnknownModel(f"{name} {version} is not loaded")
        model = found[0]
        staying = [other for other in self._models.values() if other is not model and not other.is_leaving]
        if not staying:
            raise LastModel(f"{name} {version} is the last model of this engine: drain the engine instead")
        if not model.is_leaving:
            same_name = [other for other in staying if other.name == name]
            if same_name:
                self.share(name, version, 0)
            model.is_leaving = True
            model.share_permille = 0
            if self._default == name and not same_name:
                self._default = staying[0].name
        self._remove_if_empty(model)
        return model

    def is_loaded(self, model: ShelvedModel) -> bool:
        return model.bay in self._models

    def loads(self) -> tuple[ModelLoad, ...]:
        """What the models take and could take, in the order in which they were loaded."""
        return tuple(
            ModelLoad(
                name=model.name,
                version=model.version,
                language=model.language,
                slots_total=model.table.used + self._free(model),
                slots_used=model.table.used,
                share_permille=model.share_permille,
                is_leaving=model.is_leaving,
            )
            for model in self._models.values()
        )

    def _remove_if_empty(self, model: ShelvedModel) -> None:
        if model.is_leaving and not model.table.used and self._models.pop(model.bay, None) is not None:
            self._loop.put(RemoveModel(model.bay))
            self._loop.wake()

    def _free(self, model: ShelvedModel) -> int:
        figures = self._loop.figures.bays
        if self._figures_of(model, figures).is_late:
            return 0
        demands = [
            ModelDemand(other.table.used, self._figures_of(other, figures).capacity) for other in self._models.values()
        ]
        number = list(self._models).index(model.bay)
        return min(model.table.size - model.table.used, free_streams(demands, number))

    def _figures_of(self, model: ShelvedModel, figures: dict[int, BayFigures]) -> BayFigures:
        return figures.get(model.bay) or model.figures_at_start


def engine_slots(loads: Iterable[ModelLoad]) -> int:
    """How many streams an engine carries in all: what is open, and what fits of the model that has most room."""
    free = [load.slots_total - load.slots_used for load in loads if not load.is_leaving]
    return sum(load.slots_used for load in loads) + max(free, default=0)
