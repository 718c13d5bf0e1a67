"""An edge process's eye on its gateway: one that is stopped, or stuck, would leave clients without a word."""

from __future__ import annotations

from typing import Protocol

import structlog

from gateway.silence import Silence

log = structlog.get_logger("gateway.webtransport")

TICK_S = 1.0
"""So often a gateway says that it lives, and an edge process looks whether it did."""


class LosesItsGateway(Protocol):
    def gateway_lost(self) -> None: ...

    def gateway_found(self) -> None:
        """It speaks again."""


class GatewayWatch:
    """`tick` every TICK_S. `silent_s`: without a word for so long, the gateway is lost until it speaks again."""

    def __init__(self, edge: LosesItsGateway, *, silent_s: int) -> None:
        self._edge = edge
        self._silent_s = silent_s
        self._silence = Silence(round(silent_s / TICK_S))
        self._is_lost = False

    def heard(self) -> None:
        self._silence.heard()
        if self._is_lost:
            self._is_lost = False
            log.info("edge.gateway_back")
            self._edge.gateway_found()

    def tick(self) -> None:
        if self._silence.tick() and not self._is_lost:
            self._is_lost = True
            log.warning("edge.gateway_silent", silent_s=self._silent_s)
            self._edge.gateway_lost()
