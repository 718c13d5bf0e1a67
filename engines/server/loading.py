"""Makes a recogniser of a model's files and rehearses it, beside whatever runs: the slow part of loading a model."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from engines.server.shelf import LoadedModel

if TYPE_CHECKING:
    from engines.contract import BackendSettings, BatchRecogniser
    from engines.recognition.scripted import Script


class PathNotAllowed(Exception):
    """A model was asked for that lies in none of the folders that the engine was allowed."""


@dataclass(frozen=True, slots=True)
class ModelLoading:
    """How this engine loads models.

    Attributes:
        script: set for a scripted engine, whose models have no files.
        max_batch: rows of the largest step that is rehearsed; 0: all slots.
        skips_silence: models run only from where something is heard (engines/recognition/gate.py).
        allowed_folders: where models may be loaded from while the engine runs.
    """

    backend: BackendSettings
    script: Script | None
    max_batch: int
    skips_silence: bool
    allowed_folders: tuple[Path, ...]

    def load(self, path: Path | str) -> LoadedModel:
        """Load one of the models that the engine starts with. Blocks for as long as it takes.

        Raises:
            ModelRejected: the files break the contract; every mistake is listed.
            BackendFailed: a rehearsed step failed.
        """
        return self._rehearsed(path, self.backend)

    def load_later(self, path: str, *, slots: int) -> LoadedModel:
        """Load a model while streams run; called on a thread of its own.

        Args:
            slots: 0 for as many as the first models have.

        Raises:
            PathNotAllowed: see `allowed_folders`.
            ModelRejected: the files break the contract; every mistake is listed.
            BackendFailed: a rehearsed step failed.
        """
        resolved = Path(path).resolve()
        folders = [folder.resolve() for folder in self.allowed_folders]
        if not any(resolved.is_relative_to(folder) for folder in folders):
            raise PathNotAllowed(f"models may be loaded from {', '.join(map(str, folders)) or 'nowhere'}, not {path}")
        return self._rehearsed(
            resolved, msgspec.structs.replace(self.backend, max_slots=slots or self.backend.max_slots)
        )

    def _rehearsed(self, path: Path | str, settings: BackendSettings) -> LoadedModel:
        recogniser = self._recogniser(path, settings)
        try:
            step_times = recogniser.rehearse(max_batch=min(self.max_batch or settings.max_slots, settings.max_slots))
        except BaseException:
            recogniser.shut_down()
            raise
        return LoadedModel(recogniser, step_times, "" if self.script else str(path))

    def _recogniser(self, path: Path | str, settings: BackendSettings) -> BatchRecogniser:
        if self.script is not None:
            from engines.recognition.scripted import ScriptedRecogniser

            return ScriptedRecogniser(self.script, max_slots=settings.max_slots)
        # A scripted engine starts without the model's runtime.
        from engines.recognition.recogniser import load_recogniser

        return load_recogniser(path, settings, skips_silence=self.skips_silence)
