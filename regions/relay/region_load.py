"""One load report for all engines of a region. PURE."""

from __future__ import annotations

from typing import TYPE_CHECKING

from engines.interface import LoadReport, ModelLoad

if TYPE_CHECKING:
    from collections.abc import Sequence


def region_load(region: str, loads: Sequence[LoadReport], *, is_draining: bool) -> LoadReport:
    """Sum up what the engines say.

    A draining engine takes nothing: its slots are not counted. A model's share of new streams is that of its largest
    engine; it is leaving when it leaves everywhere.
    """
    taking = [load for load in loads if not load.is_draining]
    models: dict[tuple[str, str, str], list[ModelLoad]] = {}
    for load in taking:
        for model in load.models:
            models.setdefault((model.name, model.version, model.language), []).append(model)
    return LoadReport(
        pool=region,
        models=tuple(_together(same) for same in models.values()),
        slots_total=sum(load.slots_total for load in taking),
        slots_used=sum(load.slots_used for load in taking),
        queued_audio_ms=sum(load.queued_audio_ms for load in loads),
        step_p50_us=max((load.step_p50_us for load in loads), default=0),
        busy_permille=max((load.busy_permille for load in loads), default=0),
        is_draining=is_draining,
    )


def _together(same: list[ModelLoad]) -> ModelLoad:
    largest = max(same, key=lambda model: model.slots_total)
    return ModelLoad(
        name=largest.name,
        version=largest.version,
        language=largest.language,
        slots_total=sum(model.slots_total for model in same),
        slots_used=sum(model.slots_used for model in same),
        share_permille=largest.share_permille,
        is_leaving=all(model.is_leaving for model in same),
    )
