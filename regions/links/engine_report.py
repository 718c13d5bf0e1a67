"""What one engine of a region says of itself, beside what was known before it was connected."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from engines.interface import LoadReport
    from regions.discovery.interface import EngineAddress


@dataclass(frozen=True, slots=True)
class EngineReport:
    """`is_leaving`: it takes nothing new, and what is there has to go."""

    facts: EngineAddress
    load: LoadReport
    is_leaving: bool
