"""The device on a real GPU: memory, the two kernels, recorded work, and what becomes of the driver's refusals."""

from __future__ import annotations

import contextlib
import threading
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from engines.backends.tensorrt.cuda_device import Cuda, CudaDevice
from engines.errors import BackendFailed

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy.typing as npt

    Bytes = npt.NDArray[np.uint8]

pytestmark = pytest.mark.gpu

SLOTS = 11
_TURN_BYTES = 64 * 256 * 16
"""What one turn of the kernel with 16-byte words moves of a row; see row_kernels.py."""
_SLACK_BYTES = 16 << 20


@pytest.fixture
def device() -> Iterator[CudaDevice]:
    with contextlib.closing(CudaDevice(0)) as opened:
        yield opened


def sent(device: CudaDevice, values: npt.NDArray[Any]) -> int:
    """Give the address on the device of a copy."""
    host = device.allocate_host(values.nbytes)
    host.content[:] = values.reshape(-1).view(np.uint8)
    address = device.allocate(values.nbytes)
    device.upload(address, host.address, values.nbytes)
    device.synchronise()
    return address


def fetched(device: CudaDevice, address: int, size_bytes: int) -> Bytes:
    host = device.allocate_host(size_bytes)
    device.download(host.address, address, size_bytes)
    device.synchronise()
    return host.content.copy()


def rows_of(count: int, row_bytes: int) -> Bytes:
    return np.random.default_rng(row_bytes).integers(1, 256, (count, row_bytes), dtype=np.uint8)


def test_memory_is_zeroed_and_aligned_and_gives_back_what_it_was_given(device: CudaDevice) -> None:
    address = device.allocate(1_000_001)
    assert address % 256 == 0
    assert not fetched(device, address, 1_000_001).any()
    values = rows_of(1, 1_000_001)
    assert np.array_equal(fetched(device, sent(device, values), values.nbytes), values[0])


@pytest.mark.parametrize("row_bytes", [4, 8, 12, 16, 20, 4_096, _TURN_BYTES + 16, _TURN_BYTES // 4 + 4])
def test_rows_are_read_and_written_by_slot_and_fillings_touch_none(device: CudaDevice, row_bytes: int) -> None:
    pool, batch = rows_of(SLOTS, row_bytes), rows_of(4, row_bytes)[::-1]
    slots = np.array([3, -1, 0, SLOTS - 1], np.int32)
    pool_at, batch_at, slots_at = sent(device, pool), sent(device, batch), sent(device, slots)
    device.scatter(pool_at, batch_at, slots_at, rows=4, row_bytes=row_bytes)
    pool[[3, 0, SLOTS - 1]] = batch[[0, 2, 3]]
    assert np.array_equal(fetched(device, pool_at, pool.nbytes).reshape(pool.shape), pool)
    slots[:] = 5, 0, -1, 3
    device.gather(batch_at, pool_at, sent(device, slots), rows=4, row_bytes=row_bytes)
    expected = pool[slots]
    expected[2] = 0
    assert np.array_equal(fetched(device, batch_at, expected.nbytes).reshape(expected.shape), expected)


def test_recorded_work_runs_when_it_is_launched_over_what_the_memory_holds_then(device: CudaDevice) -> None:
    pool = rows_of(SLOTS, 48)
    pool_at, batch_at, slots_at = sent(device, pool), device.allocate(2 * 48), device.allocate(8)
    host_slots, host_rows = device.allocate_host(8), device.allocate_host(2 * 48)

    def work() -> None:
        device.upload(slots_at, host_slots.address, 8)
        device.gather(batch_at, pool_at, slots_at, rows=2, row_bytes=48)
        device.download(host_rows.address, batch_at, 2 * 48)

    graph = device.record(work)
    device.synchronise()
    assert not host_rows.content.any()
    for slots in ([7, 2], [-1, 10]):
        host_slots.content.view(np.int32)[:] = slots
        graph.launch()
        device.synchronise()
        expected = pool[slots] * (np.array(slots) >= 0)[:, None].astype(np.uint8)
        assert np.array_equal(host_rows.content.reshape(2, 48), expected)


def test_a_recording_that_fails_leaves_the_device_as_it_was(device: CudaDevice) -> None:
    def fails() -> None:
        device.zero(address, 4)
        raise BackendFailed("told to")

    address = sent(device, np.full(4, 9, np.uint8))
    with pytest.raises(BackendFailed, match="told to"):
        device.record(fails)
    assert fetched(device, address, 4).tolist() == [9] * 4


def test_waiting_in_a_recording_is_refused_and_the_next_one_is_made(device: CudaDevice) -> None:
    address = device.allocate(4)
    with pytest.raises(BackendFailed):
        device.record(device.synchronise)
    device.record(lambda: device.zero(address, 4)).launch()
    device.synchronise()


def test_memory_that_is_not_there_is_refused_and_the_device_goes_on(device: CudaDevice) -> None:
    with pytest.raises(BackendFailed, match="cudaErrorMemoryAllocation"):
        device.allocate(1 << 50)
    with pytest.raises(BackendFailed):
        device.allocate_host(1 << 50)
    assert fetched(device, sent(device, np.full(4, 7, np.uint8)), 4).tolist() == [7] * 4


def test_another_thread_may_use_it_once_it_is_current_there(device: CudaDevice) -> None:
    found: list[Bytes] = []

    def use() -> None:
        device.make_current()
        found.append(fetched(device, sent(device, np.full(4, 7, np.uint8)), 4))

    thread = threading.Thread(target=use)
    thread.start()
    thread.join()
    assert found[0].tolist() == [7] * 4


def test_closing_gives_everything_back() -> None:
    cuda = Cuda()
    free: list[int] = []
    for _ in range(8):
        device = CudaDevice(0)
        address = device.allocate(64 << 20)
        device.allocate_host(1 << 20)
        device.record(lambda at=address, on=device: on.zero(at, 4))  # type: ignore[misc]
        device.close()
        device.close()
        free.append(int(cuda.checked(cuda.runtime.cudaMemGetInfo())[0]))
    assert free[-1] >= free[0] - _SLACK_BYTES
