"""How a gateway learns which engines there are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from policies.routing_facts import CapacityClass

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass(frozen=True, slots=True)
class EngineAddress:
    """An engine that somebody says is there, and what is known of it before it is connected.

    Attributes:
        address: `unix:/path` or `host:port`; what a link dials. A listing names each once.
        pool: empty: not known.
        priority: lower is better, as in a SRV record (RFC 2782). `weight`: among those of equal priority.
        is_draining: it said that it is about to go.
        instance: what it calls itself for this life of its process; empty: not known.
    """

    address: str
    pool: str = ""
    capacity: CapacityClass = CapacityClass.reserved
    zone: str = ""
    accelerator: str = ""
    priority: int = 0
    weight: int = 0
    is_draining: bool = False
    instance: str = ""


class Discovery(Protocol):
    """Somebody who knows a listing of engines."""

    @property
    def keeps_connected(self) -> bool:
        """Whether an engine that left the listing stays a member while its link stands.

        A lease that ran out says that the engine could not renew it, which may be the registry's fault. A line that
        was taken out of a file says what an operator wants.
        """

    async def run(self, on_change: Callable[[tuple[EngineAddress, ...]], None]) -> None:
        """Tell the listing whenever it changed, sorted by address, until cancelled.

        While the source cannot be read nothing is told: what is known stays.
        """
