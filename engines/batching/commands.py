"""What the inference loop is told, and what it tells: the messages between the event loop and the inference thread."""

from __future__ import annotations

import msgspec

from engines.batching.costs import StepCosts
from engines.batching.slots import Slot
from engines.contract import BatchRecogniser
from engines.interface import OpenStream, StreamEvent


class AddModel(msgspec.Struct, frozen=True):
    """From here on the recogniser belongs to the inference thread; streams of its slots carry `bay`."""

    bay: int
    recogniser: BatchRecogniser
    costs: StepCosts
    max_batch: int
    busy_permille: int
    """How much of its time the thread may be at work; 0: all slots are given away, whatever their steps cost."""


class RemoveModel(msgspec.Struct, frozen=True):
    """Shut the recogniser down. Its streams have ended before; one that has not is forgotten."""

    bay: int


class BeginStream(msgspec.Struct, frozen=True):
    slot: Slot
    stream: OpenStream


class AppendAudio(msgspec.Struct, frozen=True):
    slot: Slot
    pcm16: bytes


class CutStream(msgspec.Struct, frozen=True):
    slot: Slot
    at_sample: int
    is_last: bool


class EndStream(msgspec.Struct, frozen=True):
    slot: Slot


StreamCommand = BeginStream | AppendAudio | CutStream | EndStream
LoopCommand = StreamCommand | AddModel | RemoveModel


class Outcome(msgspec.Struct, frozen=True):
    """What one step gave one stream; `is_over`: no outcome follows and the recogniser has let go of the slot."""

    slot: Slot
    events: tuple[StreamEvent, ...]
    is_over: bool
