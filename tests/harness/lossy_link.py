"""Two network namespaces and between them a link that loses and delays IP packets: TCP and QUIC alike go over it.

What goes over the link leaves one kernel's stack through a TUN device, waits in a process of its own, and enters the
other's. So the kernel's own TCP sees the losses, which no relay of TCP connections could show it. Needs root and
/dev/net/tun, and no other program than `ip`. Only the namespaces made here are touched, and they go with the context.
"""

from __future__ import annotations

import contextlib
import fcntl
import heapq
import json
import os
import random
import secrets
import select
import shutil
import signal
import struct
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

CLIENT_ADDRESS = "10.213.77.1"
SERVER_ADDRESS = "10.213.77.2"

_TUN = Path("/dev/net/tun")
_TUNSETIFF = 0x400454CA
_IFF_TUN_WITHOUT_HEADER = 0x0001 | 0x1000
_MTU_BYTES = 1_500
_QUEUE_PACKETS = 2_000
_ROOT = Path(__file__).parents[2]
_READY_S, _STOP_S = 10.0, 5.0


class NoLossyLink(Exception):
    """This machine lets nobody make namespaces or TUN devices; the message says what is missing."""


@dataclass(frozen=True, slots=True)
class Condition:
    """Of both ways alike: half a round trip, and the share of packets that each way loses."""

    delay_ms: float = 20.0
    loss: float = 0.0
    seed: int = 1


@dataclass(frozen=True, slots=True)
class Carried:
    """What the link did: packets of both ways together, and its own error in time."""

    passed: int
    lost: int
    late_p50_ms: float
    late_p99_ms: float


@dataclass(frozen=True, slots=True)
class LossyLink:
    """`client` and `server`: what a command starts with to run at that end."""

    client: list[str]
    server: list[str]
    process: subprocess.Popen[bytes]

    def change(self, condition: Condition) -> None:
        """From here on. What is on its way arrives as it would have."""
        self._ask(asdict(condition))

    def carried(self) -> Carried:
        """Since the last `change`."""
        return Carried(**self._ask({}))

    def _ask(self, order: dict[str, Any]) -> dict[str, Any]:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json.dumps(order).encode() + b"\n")
        self.process.stdin.flush()
        answer: dict[str, Any] = json.loads(self.process.stdout.readline())
        return answer


@contextlib.contextmanager
def lossy_link(condition: Condition = Condition(), *, core: int | None = None) -> Iterator[LossyLink]:
    """`core`: where the process that carries the packets runs.

    Raises:
        NoLossyLink
    """
    if os.geteuid() != 0 or not os.access(_TUN, os.R_OK | os.W_OK) or shutil.which("ip") is None:
        raise NoLossyLink("a lossy link needs root, /dev/net/tun and the program `ip` (Debian: iproute2)")
    name = f"lossy-{secrets.token_hex(3)}"
    spaces = [f"{name}-c", f"{name}-s"]
    with contextlib.ExitStack() as cleaning:
        ends = []
        for space, address in zip(spaces, (CLIENT_ADDRESS, SERVER_ADDRESS), strict=True):
            _ip("netns", "add", space)
            cleaning.callback(_ip, "netns", "delete", space)
            ends.append(_tun(device := f"t{space[-8:]}"))
            cleaning.callback(os.close, ends[-1])
            _ip("link", "set", device, "netns", space)
            for command in (
                ("link", "set", "lo", "up"),
                ("address", "add", f"{address}/24", "dev", device),
                ("link", "set", device, "mtu", str(_MTU_BYTES), "txqueuelen", str(_QUEUE_PACKETS), "up"),
            ):
                _ip("-netns", space, *command)
        client, server = (["ip", "netns", "exec", space] for space in spaces)
        process = cleaning.enter_context(_carrier(ends, core))
        link = LossyLink(client, server, process)
        link.change(condition)
        yield link


def _ip(*arguments: str) -> None:
    done = subprocess.run(["ip", *arguments], capture_output=True, text=True, timeout=10, check=False)
    if done.returncode != 0:
        raise NoLossyLink(f"ip {' '.join(arguments)}: {done.stderr.strip()}")


def _tun(device: str) -> int:
    """The descriptor through which the device's packets come and go. Source: linux/Documentation/networking/tuntap."""
    descriptor = os.open(_TUN, os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(descriptor, _TUNSETIFF, struct.pack("16sH22x", device.encode(), _IFF_TUN_WITHOUT_HEADER))
    return descriptor


@contextlib.contextmanager
def _carrier(ends: list[int], core: int | None) -> Iterator[subprocess.Popen[bytes]]:
    pinned = [] if core is None else ["taskset", "--cpu-list", str(core)]
    process = subprocess.Popen(
        [*pinned, sys.executable, "-m", "tests.harness.lossy_link", *map(str, ends)],
        cwd=_ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        pass_fds=ends,
    )
    try:
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(_STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


class Carrier:
    """The process between the two ends."""

    def __init__(self, ends: tuple[int, int]) -> None:
        self._other = {ends[0]: ends[1], ends[1]: ends[0]}
        self._waiting: list[tuple[float, int, int, bytes]] = []
        self._number = 0
        self._become(Condition())

    def _become(self, condition: Condition) -> None:
        self._condition = condition
        self._dice = random.Random(condition.seed)
        self._passed = self._lost = 0
        self._late_ms: list[float] = []

    def run(self) -> None:
        """Until standard input ends."""
        orders = sys.stdin.fileno()
        while True:
            wait_s = max(0.0, self._waiting[0][0] - time.monotonic()) if self._waiting else None
            readable, _, _ = select.select([*self._other, orders], [], [], wait_s)
            if orders in readable and not self._obey(sys.stdin.buffer.readline()):
                return
            for end in self._other:
                if end in readable:
                    self._take(end)
            self._give()

    def _take(self, end: int) -> None:
        for _ in range(_QUEUE_PACKETS):
            try:
                packet = os.read(end, 65_536)
            except BlockingIOError:
                return
            if self._dice.random() < self._condition.loss:
                self._lost += 1
                continue
            self._passed += 1
            self._number += 1
            due_at_s = time.monotonic() + self._condition.delay_ms / 1_000
            heapq.heappush(self._waiting, (due_at_s, self._number, self._other[end], packet))

    def _give(self) -> None:
        now_s = time.monotonic()
        while self._waiting and self._waiting[0][0] <= now_s:
            due_at_s, _, end, packet = heapq.heappop(self._waiting)
            self._late_ms.append((now_s - due_at_s) * 1_000)
            with contextlib.suppress(OSError):  # the device is gone: so is the link
                os.write(end, packet)
            now_s = time.monotonic()

    def _obey(self, line: bytes) -> bool:
        if not line:
            return False
        order = json.loads(line)
        if order:
            self._become(Condition(**order))
        late_ms = sorted(self._late_ms) or [0.0]
        middle, high = late_ms[len(late_ms) // 2], late_ms[min(len(late_ms) - 1, int(0.99 * len(late_ms)))]
        print(json.dumps(asdict(Carried(self._passed, self._lost, middle, high))), flush=True)
        return True


if __name__ == "__main__":
    first, second = map(int, sys.argv[1:])
    Carrier((first, second)).run()
