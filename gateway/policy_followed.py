"""Has every live session keep to the policy of now, whenever that is another one.

These must stay true:
  - The loop is never held up for longer than a turn: decisions that are not made yet are made with turns between them.
  - Policy that changes meanwhile is begun with anew: no session is told what held before.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gateway.admission.policy_sets import PolicySets
    from gateway.session_registry import SessionRegistry


class PolicyFollowed:
    """One a gateway; its owner runs `run`."""

    def __init__(self, registry: SessionRegistry, policies: PolicySets) -> None:
        self._registry = registry
        self._policies = policies
        self._has_changed = asyncio.Event()

    def changed(self) -> None:
        """Callers may have other sets than before."""
        self._has_changed.set()

    async def run(self) -> None:
        """Ask about all sessions again after each change, until cancelled."""
        while True:
            await self._has_changed.wait()
            self._has_changed.clear()
            await self._registry.permit_anew(self._policies, is_over=self._has_changed.is_set)
