"""A device in host memory: implements `Device` of the TensorRT backend, with every address checked.

Work that is recorded runs when the graph is launched, as on a GPU; reading or writing outside of what was allocated is
an error here, where on a GPU it would be a wrong number.
"""

from __future__ import annotations

import ctypes
from typing import TYPE_CHECKING

import numpy as np

from engines.backends.tensorrt.device import DeviceName, HostBlock
from engines.errors import BackendFailed

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy.typing as npt

    Bytes = npt.NDArray[np.uint8]

ALIGNMENT_BYTES = 256


class HostGraph:
    def __init__(self, device: HostDevice, work: list[Callable[[], None]]) -> None:
        self._device = device
        self._work = work

    def launch(self) -> None:
        self._device.check_health()
        self._device.launches += 1
        for part in self._work:
            part()


class HostDevice:
    """`fails_at` counts calls down to one that the driver refuses; None never does."""

    def __init__(self, *, index: int = 0, fails_at: int | None = None) -> None:
        self.index = index
        self.name = DeviceName("host memory", "0.0")
        self.stream = 0
        self.launches = 0
        self.fails_at = fails_at
        self.is_closed = False
        self._blocks: list[tuple[int, Bytes]] = []
        self._recording: list[Callable[[], None]] | None = None

    def make_current(self) -> None:
        pass

    def allocate(self, size_bytes: int) -> int:
        self.check_health()
        owner = np.zeros(size_bytes + ALIGNMENT_BYTES, np.uint8)
        start = -owner.ctypes.data % ALIGNMENT_BYTES
        block = owner[start : start + size_bytes]
        self._blocks.append((block.ctypes.data, block))
        return block.ctypes.data

    def allocate_host(self, size_bytes: int) -> HostBlock:
        address = self.allocate(size_bytes)
        return HostBlock(address, self._blocks[-1][1])

    def zero(self, address: int, size_bytes: int) -> None:
        self.submit(lambda: self.view(address, size_bytes).fill(0))

    def upload(self, to: int, host: int, size_bytes: int) -> None:
        self.submit(lambda: np.copyto(self.view(to, size_bytes), self.view(host, size_bytes)))

    def download(self, host: int, source: int, size_bytes: int) -> None:
        self.upload(host, source, size_bytes)

    def gather(self, to: int, pool: int, slots: int, *, rows: int, row_bytes: int) -> None:
        def work() -> None:
            for row, slot in enumerate(self.view(slots, 4 * rows).view(np.int32)):
                there = self.view(to + row * row_bytes, row_bytes)
                there[:] = 0 if slot < 0 else self.view(pool + int(slot) * row_bytes, row_bytes)

        self.submit(work)

    def scatter(self, pool: int, source: int, slots: int, *, rows: int, row_bytes: int) -> None:
        def work() -> None:
            for row, slot in enumerate(self.view(slots, 4 * rows).view(np.int32)):
                if slot >= 0:
                    there = self.view(pool + int(slot) * row_bytes, row_bytes)
                    there[:] = self.view(source + row * row_bytes, row_bytes)

        self.submit(work)

    def record(self, work: Callable[[], None]) -> HostGraph:
        assert self._recording is None
        self._recording = recorded = []
        try:
            work()
        finally:
            self._recording = None
        return HostGraph(self, recorded)

    def synchronise(self) -> None:
        assert self._recording is None, "waiting is not allowed in a recording"
        self.check_health()

    def close(self) -> None:
        self.is_closed = True
        self._blocks.clear()

    def submit(self, work: Callable[[], None]) -> None:
        """Run work now, or when what is being recorded is launched."""
        self.check_health()
        if self._recording is None:
            work()
        else:
            self._recording.append(work)

    def view(self, address: int, size_bytes: int) -> Bytes:
        """Give allocated memory as bytes."""
        for start, block in self._blocks:
            if start <= address and address + size_bytes <= start + len(block):
                return np.ctypeslib.as_array((ctypes.c_uint8 * size_bytes).from_address(address))
        raise AssertionError(f"{size_bytes} bytes at {address:#x} were never allocated")

    def check_health(self) -> None:
        assert not self.is_closed, "the device is closed"
        if self.fails_at is not None:
            self.fails_at -= 1
            if self.fails_at < 0:
                raise BackendFailed("the driver was told to fail")
