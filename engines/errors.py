"""What can go wrong in an engine, by whose fault, and whether replaying the audio elsewhere can help."""

from __future__ import annotations

from typing import Any


class EngineError(Exception):
    """Base; `resumable` says whether replaying unfinalised audio on another replica can help."""

    resumable = False


class ModelRejected(EngineError):
    """The model's files break the contract: the engine will not start with them.

    `mistakes` lists every one found, each a sentence that says what was expected.
    """

    def __init__(self, path: str, mistakes: list[str]) -> None:
        super().__init__(f"{path}: " + "; ".join(mistakes))
        self.path = path
        self.mistakes = mistakes


class RuntimeMissing(ModelRejected):
    """This machine cannot run what was asked for: a library, a driver or a device is missing.

    `path` is the model, or the runtime's name; each of `mistakes` says what is missing and how to get it.
    """


class BackendFailed(EngineError):
    """The runtime failed in the middle of a step; every stream in that batch is lost here."""

    resumable = True


class RowsFailed(BackendFailed):
    """A step went well but for some streams, which are lost here; whoever catches only `BackendFailed` loses them all.

    Attributes:
        slots: of the streams that are lost.
        rows: what the step gave, for all of its streams in their order; nothing may be read of those that are lost.
    """

    def __init__(self, text: str, *, slots: list[int], rows: Any) -> None:
        super().__init__(text)
        self.slots = slots
        self.rows = rows


class LinkMisused(EngineError):
    """A gateway broke the link protocol (audio for a stream never opened, a cut in the past, beyond its window)."""
