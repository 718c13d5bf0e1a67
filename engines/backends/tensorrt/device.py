"""What the backend needs of a GPU, as a small interface: memory, copies, row moves, one stream, graphs.

`cuda_device.py` is the real one; tests run the backend over host memory (tests/fakes/host_device.py). These must stay
true of any: all work runs in one stream, in the order in which it was asked for, and is over after `synchronise`; only
`synchronise` waits. Addresses are plain numbers, as TensorRT takes them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np
    import numpy.typing as npt


class DeviceName(NamedTuple):
    """`gpu` as the driver names it, with its slice if it is partitioned; `compute_capability` like 9.0."""

    gpu: str
    compute_capability: str


class HostBlock(NamedTuple):
    """Page-locked host memory: `content` is (size,) uint8, valid until the device is closed."""

    address: int
    content: npt.NDArray[np.uint8]


class Graph(Protocol):
    """A recorded sequence of work."""

    def launch(self) -> None:
        """Run it in the device's stream."""


class Device(Protocol):
    """Every method but `close` raises BackendFailed when the driver refuses."""

    index: int
    name: DeviceName
    stream: int
    """The stream's handle, as TensorRT takes it."""

    def make_current(self) -> None:
        """Bind the calling thread to this device; to be called first by every thread that uses it."""

    def allocate(self, size_bytes: int) -> int:
        """Give the address of zeroed device memory, aligned to 256 bytes; it is given back by `close`."""

    def allocate_host(self, size_bytes: int) -> HostBlock:
        """Give zeroed page-locked memory; it is given back by `close`."""

    def zero(self, address: int, size_bytes: int) -> None: ...

    def upload(self, to: int, host: int, size_bytes: int) -> None:
        """Copy from page-locked host memory; it must stay as it is until `synchronise`."""

    def download(self, host: int, source: int, size_bytes: int) -> None: ...

    def gather(self, to: int, pool: int, slots: int, *, rows: int, row_bytes: int) -> None:
        """Copy the pool's row `slots[i]` to row i, zeros for -1; `slots` is the address of `rows` int32 there."""

    def scatter(self, pool: int, source: int, slots: int, *, rows: int, row_bytes: int) -> None:
        """Copy row i to the pool's row `slots[i]`; nothing for -1."""

    def record(self, work: Callable[[], None]) -> Graph:
        """Record what `work` asks for, without running it. `work` must not wait or allocate."""

    def synchronise(self) -> None: ...

    def close(self) -> None:
        """Give everything back; closing twice does nothing. Never raises."""
