"""Reports of engines, for tests of capacity."""

from __future__ import annotations

from engines.interface import LoadReport, ModelLoad
from policies.routing_facts import CapacityClass
from regions.discovery.interface import EngineAddress
from regions.links.engine_report import EngineReport

SPOT = CapacityClass.spot
RESERVED = CapacityClass.reserved


def engine(
    pool: str,
    capacity: CapacityClass = RESERVED,
    zone: str = "",
    *,
    slots: int = 10,
    used: int = 0,
    models: tuple[str, ...] = ("en",),
    is_leaving: bool = False,
) -> EngineReport:
    load = LoadReport(
        pool=pool,
        models=tuple(ModelLoad(name=name, version="1", slots_total=slots, slots_used=used) for name in models),
        slots_total=slots,
        slots_used=used,
        queued_audio_ms=0,
        step_p50_us=0,
        busy_permille=0,
        is_draining=False,
    )
    return EngineReport(EngineAddress(f"{pool}{zone}:1", capacity=capacity, zone=zone), load, is_leaving)
