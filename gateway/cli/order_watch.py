"""Watching an order until the place it is about is empty. Looking changes nothing: who stops watching stops nothing."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from gateway.cli.admin_client import AdminClient, AdminRefused
from gateway.cli.exit_codes import ExitCode
from gateway.cli.order_shown import progress_line, stuck_lines, target_name

if TYPE_CHECKING:
    from collections.abc import Callable

_EVERY_S = 0.5
_GRACE_S = 30.0
"""After the time that the order gives, until it is given up here."""
_UNANSWERED_S = 15.0
"""A gateway may be started anew meanwhile."""


class Watching:
    """`noun`: `region`, `pool` or `engine`, for the words of advice."""

    def __init__(
        self,
        client: AdminClient,
        noun: str,
        *,
        is_shown: bool,
        now_s: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._client = client
        self._noun = noun
        self._now_s = now_s
        self._sleep = sleep
        self._console = Console(stderr=True)
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TimeElapsedColumn(),
            console=self._console,
            disable=not is_shown,
        )

    def until_empty(self, order: dict[str, Any]) -> tuple[ExitCode, dict[str, Any]]:
        """How it ended, and the order as it was seen last. Raises AdminRefused: nobody answers any more."""
        name = target_name(order)
        give_up_at_s = self._now_s() + order["within_ms"] / 1_000 + _GRACE_S
        heard_at_s = self._now_s()
        with self._progress:
            bar = self._progress.add_task(name, total=None)
            try:
                while True:
                    try:
                        order = self._client.get(f"/v1/orders/{order['id']}")
                        heard_at_s = self._now_s()
                    except AdminRefused as refused:
                        if refused.reason == "unknown_order":
                            return self._ended(f"{name}: the order was withdrawn; it takes sessions again", order)
                        if self._now_s() - heard_at_s > _UNANSWERED_S:
                            raise AdminRefused(
                                f"{refused}\nThe {order['kind']} goes on; watch it again with: "
                                f"patchbay {self._noun} watch {name}",
                                refused.exit_code,
                            ) from None
                    self._show(bar, name, order)
                    if (ended := self._end_of(name, order, is_over=self._now_s() > give_up_at_s)) is not None:
                        return ended
                    self._sleep(_EVERY_S)
            except KeyboardInterrupt:
                self._progress.stop()
                self._say(f"\nYou stopped watching. The {order['kind']} of {name} GOES ON: {_line(order)}.")
                self._say(f"  to watch it again:  patchbay {self._noun} watch {name}")
                self._say(f"  to stop moving:     patchbay {self._noun} stop {name}")
                self._say(f"  to undo it:         patchbay {self._noun} undrain {name}")
                return ExitCode.interrupted, order

    def _show(self, bar: Any, name: str, order: dict[str, Any]) -> None:
        progress = order["progress"] or {"total": 0, "left": 0}
        total = progress["total"] or None
        done = progress["total"] - progress["left"]
        self._progress.update(bar, total=total, completed=done, description=f"{name}: {_line(order)}")

    def _end_of(self, name: str, order: dict[str, Any], *, is_over: bool) -> tuple[ExitCode, dict[str, Any]] | None:
        progress = order["progress"]
        if order["state"] == "stopped":
            return self._ended(f"{name}: stopped, {_line(order)}", order)
        if progress is not None and progress["done_at_unix_ms"] and progress["left"] == 0:
            self._say(f"{name} is empty: {_line(order)}.")
            self._say(f"  to undo it: patchbay {self._noun} undrain {name}")
            return ExitCode.ok, order
        if is_over or (progress is not None and progress["is_late"]):
            lines = [f"{name}: the time is over, and it is not empty: {_line(order)}.", *stuck_lines(progress)]
            lines.append(f"The {order['kind']} goes on. To undo it: patchbay {self._noun} undrain {name}")
            return self._ended("\n".join(lines), order)
        return None

    def _ended(self, text: str, order: dict[str, Any]) -> tuple[ExitCode, dict[str, Any]]:
        self._say(text)
        return ExitCode.not_yet, order

    def _say(self, text: str) -> None:
        self._console.print(text, soft_wrap=True, markup=False, highlight=False)


def _line(order: dict[str, Any]) -> str:
    return progress_line(order["progress"])
