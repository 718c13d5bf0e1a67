"""A real Triton server on this machine, as scripts/triton.sh unpacks it: started, killed, paused, started again."""

from __future__ import annotations

import os
import signal
import subprocess
import uuid
from contextlib import suppress
from pathlib import Path

import grpc

from engines.proto import kserve_pb2 as kserve
from engines.proto.kserve_pb2_grpc import GRPCInferenceServiceStub
from tests.harness.ports import free_port
from tests.harness.waiting import until_sync

_UNPACKED = Path(__file__).parents[2] / ".triton"
_SHARED_MEMORY = Path("/dev/shm")
_STOP_WITHIN_S = 20.0


def is_set_up() -> bool:
    """Whether scripts/triton.sh has been here."""
    return (_UNPACKED / ".has").is_file()


class Triton:
    """One server on a port of its own; `start` again after `kill` brings it back on the same port.

    Args:
        is_explicit: whether it loads only what it is told to by `load`, at start and later.
    """

    def __init__(self, repository: Path, *, is_explicit: bool = False) -> None:
        self._repository = repository
        self._is_explicit = is_explicit
        self._log = repository.parent / f"{repository.name}.log"
        self._process: subprocess.Popen[bytes] | None = None
        self._shared_prefix = f"patchbay_{uuid.uuid4().hex[:12]}"
        self.port = free_port()

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    def start(self) -> None:
        """Give back when it answers and has loaded its models."""
        server = _UNPACKED / "unpacked" / "pytriton" / "tritonserver" / "bin" / "tritonserver"
        options = {
            "model-repository": self._repository,
            "backend-directory": _UNPACKED / "backends",
            "backend-config": f"python,shm-region-prefix-name={self._shared_prefix}",
            "model-control-mode": "explicit" if self._is_explicit else "none",
            "allow-http": "false",
            "allow-metrics": "false",
            "grpc-address": "127.0.0.1",
            "grpc-port": self.port,
            "exit-timeout-secs": 5,
        }
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [server, "--disable-auto-complete-config", *(f"--{key}={value}" for key, value in options.items())],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=os.environ | {"LD_LIBRARY_PATH": str(_UNPACKED / "unpacked" / "nvidia_pytriton.libs")},
                start_new_session=True,
            )
        until_sync(self._is_ready, what="Triton")

    def load(self, model: str) -> None:
        """Load a model, or the version of it that lies in the repository now."""
        with self._channel() as channel:
            stub = GRPCInferenceServiceStub(channel)  # type: ignore[no-untyped-call]
            stub.RepositoryModelLoad(kserve.RepositoryModelLoadRequest(model_name=model), timeout=_STOP_WITHIN_S)

    def counts_of(self, model: str) -> tuple[int, int]:
        """Give how many requests a model has answered, and in how many runs."""
        with self._channel() as channel:
            stub = GRPCInferenceServiceStub(channel)  # type: ignore[no-untyped-call]
            (found,) = stub.ModelStatistics(kserve.ModelStatisticsRequest(name=model), timeout=5).model_stats
        return found.inference_count, found.execution_count

    def log(self) -> str:
        return self._log.read_text(encoding="utf-8", errors="replace")

    def kill(self) -> None:
        """Let it die without a word, and what it had started after it."""
        self._send(signal.SIGKILL)
        self._wait()
        self._end_group()

    def pause(self) -> None:
        """Let it hold its connections and answer nothing."""
        self._send(signal.SIGSTOP)

    def resume(self) -> None:
        self._send(signal.SIGCONT)

    def stop(self) -> None:
        """End it and whatever it started."""
        if self._process is not None:
            self._send(signal.SIGCONT)
            self._send(signal.SIGTERM)
            try:
                self._wait()
            except subprocess.TimeoutExpired:
                self._send(signal.SIGKILL)
                self._wait()
            self._end_group()
        # A server that was killed leaves the memory that it shared with its Python.
        for region in _SHARED_MEMORY.glob(f"{self._shared_prefix}*"):
            region.unlink(missing_ok=True)

    def _is_ready(self) -> bool:
        if self._process is None or self._process.poll() is not None:
            raise AssertionError(f"Triton did not start:\n{self.log()[-4000:]}")
        with self._channel() as channel:
            stub = GRPCInferenceServiceStub(channel)  # type: ignore[no-untyped-call]
            try:
                return bool(stub.ServerReady(kserve.ServerReadyRequest(), timeout=1).ready)
            except grpc.RpcError:
                return False

    def _channel(self) -> grpc.Channel:
        return grpc.insecure_channel(self.address, options=[("grpc.use_local_subchannel_pool", 1)])

    def _send(self, which: signal.Signals) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(which)

    def _end_group(self) -> None:
        """Kill the Python of a server that is gone: it notices late, or never."""
        if self._process is not None:
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)

    def _wait(self) -> None:
        if self._process is not None:
            self._process.wait(_STOP_WITHIN_S)
