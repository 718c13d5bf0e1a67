"""A loaded plan as the slot logic sees it: `runtime.py` is TensorRT's, tests bring ONNX Runtime's over host memory."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping


class Execution(Protocol):
    """The plan, set up for one batch size and bound to addresses."""

    def enqueue(self) -> None:
        """Ask for one run in the device's stream.

        Raises:
            BackendFailed: the runtime refused.
        """


class LoadedPlan(Protocol):
    """A plan on a device."""

    weights_bytes: int
    activation_bytes: int
    """Scratch memory on the device, shared by all executions: only one may run at a time."""

    def execution(self, batch: int, addresses: Mapping[str, int]) -> Execution:
        """Set the plan up for a batch; `addresses` gives the memory of every input and output by name.

        Raises:
            ModelRejected: the plan does not take this batch, or has inputs or outputs that are not among the addresses.
        """

    def close(self) -> None:
        """Give everything back that is not the device's own; closing twice does nothing."""
