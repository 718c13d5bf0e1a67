"""The servers of the paced comparison, each kept to one core: sherpa-onnx's, our engine, our whole region."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from engines.model_files import find_model_file
from engines.server.options import EMBEDDED_MODEL
from tests.benchmarks.targets import Target, empty_config, first_line, gateway_environment, port_of, running

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.benchmarks.targets import Issuer

SHERPA = shutil.which("sherpa-onnx-online-websocket-server", path=str(Path(sys.executable).parent))
"""None where it is not installed (extra `interop`)."""
SLOTS = 1_024
_ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
_LISTENS_S = 30.0
_POLL_S = 0.05


@dataclass(frozen=True, slots=True)
class SherpaFlags:
    """What may be tuned of sherpa-onnx's server on one core; one thread a model step, as ours."""

    work_threads: int = 3
    max_batch: int = 5
    loop_interval_ms: int = 10

    def __str__(self) -> str:
        return f"{self.work_threads} work threads, batch {self.max_batch}, every {self.loop_interval_ms} ms"


@contextlib.contextmanager
def running_sherpa(flags: SherpaFlags, scratch: Path, *, core: int) -> Iterator[Target]:
    """Its endpointing is on, as it is by default."""
    if SHERPA is None:
        raise FileNotFoundError("sherpa-onnx-online-websocket-server")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [
        *(*on_core(core), SHERPA, f"--port={port}"),
        f"--nemo-ctc-model={find_model_file(EMBEDDED_MODEL)}",
        f"--tokens={EMBEDDED_MODEL / 'tokens.txt'}",
        *("--model-type=nemo_ctc", "--num-threads=1", "--num-io-threads=1", "--print-args=false"),
        f"--num-work-threads={flags.work_threads}",
        f"--max-batch-size={flags.max_batch}",
        f"--loop-interval-ms={flags.loop_interval_ms}",
        f"--log-file={scratch / 'sherpa.log'}",
    ]
    with (scratch / "sherpa.out").open("ab") as said, running(command, log=said) as process:
        _until_it_listens(port)
        yield Target(port, {"sherpa": process.pid})


def _until_it_listens(port: int) -> None:
    """Raises TimeoutError."""
    due_at_s = time.monotonic() + _LISTENS_S
    while time.monotonic() < due_at_s:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(_POLL_S)
    raise TimeoutError(f"nobody listens on port {port}")


@contextlib.contextmanager
def running_engine(scratch: Path, *, core: int, arguments: tuple[str, ...] = ()) -> Iterator[Target]:
    """One engine process with the embedded model, on a UNIX socket as `patchbay up` has it."""
    listen = f"unix:{scratch / 'engine.sock'}"
    command = [
        *(*on_core(core), sys.executable, "-m", "engines", "--listen", listen, "--json", "--exit-with-parent"),
        *("--slots", str(SLOTS), "--threads", "1", *arguments),
    ]
    environment = os.environ | _ONE_THREAD
    with (scratch / "engine.log").open("ab") as said, running(command, environment=environment, log=said) as process:
        ready = first_line(process)
        yield Target(0, {"engine": process.pid}, engine=ready["address"])


@contextlib.contextmanager
def running_region(
    issuer: Issuer, scratch: Path, *, core: int, engine_arguments: tuple[str, ...] = ()
) -> Iterator[Target]:
    """A gateway and an engine, which share the one core that the others have for themselves."""
    with (
        running_engine(scratch, core=core, arguments=engine_arguments) as engine,
        (scratch / "gateway.log").open("ab") as said,
    ):
        ports = {f"{name}__port": 0 for name in ("http", "grpc", "admin")}
        environment = gateway_environment(issuer, scratch, slots=SLOTS, engines__addresses=[engine.engine], **ports)
        command = [*on_core(core), sys.executable, "-m", "gateway", "--json", "--exit-with-parent"]
        command += ["--config", str(empty_config(scratch))]
        with running(command, environment=environment | _ONE_THREAD, log=said) as process:
            port = port_of(first_line(process)["websocket"])
            yield Target(port, {"gateway": process.pid, **engine.pids}, engine=engine.engine)


def on_core(core: int) -> list[str]:
    """What to put before a command."""
    return ["taskset", "--cpu-list", str(core)]
