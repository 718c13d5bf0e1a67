"""The servers under measurement, each as processes of its own on loopback: gateway with engine, sink, HAProxy."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import shutil
import socket
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any
from urllib.parse import urlsplit

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from jwt.algorithms import get_default_algorithms

if TYPE_CHECKING:
    from collections.abc import Iterator

HAPROXY = shutil.which("haproxy", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")
_REPOSITORY = Path(__file__).parents[2]
_STOP_TIMEOUT_S = 10.0
_ANSWER_TIMEOUT_S = 5.0
_HAPROXY_CONNECTIONS = 8_000
"""It wants two descriptors for each, and does not start if it may not have them."""
_ISSUER = "benchmark"
_AUDIENCE = "patchbay"
_TOKEN_TTL_S = 3_600


@dataclass(frozen=True, slots=True)
class Target:
    """Where a server listens, and its processes by name, the measured one first."""

    port: int
    pids: dict[str, int]
    engine: str = ""
    """Address of the engine behind a gateway."""
    metrics_url: str = ""
    redis_port: int | None = None
    """Of the Redis that keeps a gateway's limits."""


class Issuer:
    """Signs callers' tokens, with a key for each algorithm; the gateway knows the public halves."""

    def __init__(self) -> None:
        self._keys: dict[str, Any] = {
            "ES256": ec.generate_private_key(ec.SECP256R1()),
            "EdDSA": ed25519.Ed25519PrivateKey.generate(),
            "RS256": rsa.generate_private_key(public_exponent=65_537, key_size=2_048),
        }

    @property
    def algorithms(self) -> list[str]:
        return list(self._keys)

    def settings(self) -> dict[str, Any]:
        """One issuer of gateway.admission.settings."""
        algorithms = get_default_algorithms()
        jwks = [
            {**algorithms[name].to_jwk(key.public_key(), as_dict=True), "kid": name, "alg": name, "use": "sig"}
            for name, key in self._keys.items()
        ]
        for jwk in jwks:
            jwk.pop("key_ops", None)
        return {"issuer": _ISSUER, "audience": _AUDIENCE, "algorithms": self.algorithms, "static_keys": jwks}

    def public_key(self, algorithm: str) -> Any:
        return self._keys[algorithm].public_key()

    def token(self, algorithm: str, *, tenant: str = "benchmark") -> str:
        """A new one, unlike every other."""
        now_s = int(time.time())
        claims = {
            "iss": _ISSUER,
            "aud": _AUDIENCE,
            "sub": secrets.token_hex(8),
            "tenant": tenant,
            "project": "speech",
            "scope": "speech:stream",
            "iat": now_s,
            "nbf": now_s,
            "exp": now_s + _TOKEN_TTL_S,
        }
        return jwt.encode(claims, self._keys[algorithm], algorithm=algorithm, headers={"kid": algorithm})


@contextlib.contextmanager
def running_gateway(issuer: Issuer, scratch: Path, *, slots: int, **more: Any) -> Iterator[Target]:
    """A gateway and a scripted engine by `patchbay up`, without a Redis or an exporter of their own.

    `more`: further settings of the gateway.
    """
    scratch.mkdir(exist_ok=True)
    command = [
        *(sys.executable, "-c", "from gateway.cli.app import main; main()", "up"),
        *("--scripted", "--slots", str(slots), "--port", "0", "--json", "--no-redis", "--no-exporter"),
        *("--config", str(empty_config(scratch)), "--log-file", str(scratch / "up.log")),
    ]
    with running(command, environment=gateway_environment(issuer, scratch, slots=slots, **more)) as process:
        ready = first_line(process)
        engine = ready["engines"][0]["pid"]
        pids = {"gateway": ready["gateway_pid"], "engine": engine}
        yield Target(port_of(ready["websocket"]), pids, engine=_listen_option(engine), metrics_url=ready["metrics"])


def gateway_environment(issuer: Issuer, scratch: Path, *, slots: int, **more: Any) -> dict[str, str]:
    """What a gateway is started with; everything is on as it is by default.

    Only the bounds differ: on sessions, and on how long one may be silent. `more`: further settings.
    """
    settings = {
        "tokens__issuers": [issuer.settings()],
        "admission__max_sessions": slots,
        "admission__max_sessions_per_tenant": slots,
        "sessions__idle_timeout_ms": 600_000,
        **more,
    }
    environment = os.environ | {f"PATCHBAY__{key.upper()}": json.dumps(value) for key, value in settings.items()}
    return environment | {"XDG_STATE_HOME": str(scratch), "TMPDIR": str(scratch)}


def empty_config(scratch: Path) -> Path:
    """A file of settings that trusts no development key."""
    config = scratch / "gateway.toml"
    config.write_text("[tokens]\n")
    return config


def port_of(url: str) -> int:
    return urlsplit(url).port or 0


def _listen_option(engine_pid: int) -> str:
    arguments = Path(f"/proc/{engine_pid}/cmdline").read_bytes().decode().split("\0")
    return arguments[arguments.index("--listen") + 1]


@contextlib.contextmanager
def running_sink() -> Iterator[Target]:
    """The aiohttp server."""
    with running([sys.executable, "-m", "tests.benchmarks.sink"]) as process:
        yield Target(first_line(process)["port"], {"sink": process.pid})


@contextlib.contextmanager
def running_haproxy(backend: Target, scratch: Path) -> Iterator[Target]:
    """One thread, HTTP mode, its own defaults, in front of a sink."""
    if HAPROXY is None:
        raise FileNotFoundError("haproxy")
    with socket.socket() as listener:
        # Handed over as a descriptor, so that nobody else takes the port in between.
        listener.bind(("127.0.0.1", 0))
        listener.listen(1_024)
        config = scratch / "haproxy.cfg"
        config.write_text(
            f"global\n  maxconn {_HAPROXY_CONNECTIONS}\n  nbthread 1\n"
            "defaults\n  mode http\n  timeout connect 5s\n  timeout client 60s\n  timeout server 60s\n"
            "  timeout tunnel 1h\n"
            f"frontend websocket\n  bind fd@{listener.fileno()}\n  default_backend sink\n"
            f"backend sink\n  server sink 127.0.0.1:{backend.port}\n"
        )
        with running([HAPROXY, "-db", "-q", "-f", str(config)], pass_fds=[listener.fileno()]) as process:
            port = listener.getsockname()[1]
            _until_it_answers(port)
            yield Target(port, {"haproxy": process.pid, **backend.pids})


def _until_it_answers(port: int) -> None:
    """A socket handed over takes connections before, or without, a server behind it."""
    with socket.create_connection(("127.0.0.1", port), timeout=_ANSWER_TIMEOUT_S) as connection:
        connection.sendall(b"GET / HTTP/1.0\r\n\r\n")
        if not connection.recv(16):
            raise ConnectionError("haproxy closed the connection")


@contextlib.contextmanager
def running(
    command: list[str],
    *,
    environment: dict[str, str] | None = None,
    pass_fds: list[int] | None = None,
    log: IO[bytes] | None = None,
) -> Iterator[subprocess.Popen[bytes]]:
    """A process that is ended at the end. `log`: where its standard error goes, if not to our own."""
    process = subprocess.Popen(
        command, cwd=_REPOSITORY, env=environment, stdout=subprocess.PIPE, stderr=log, pass_fds=pass_fds or ()
    )
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(_STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        _pipe(process).close()


def first_line(process: subprocess.Popen[bytes]) -> dict[str, Any]:
    """What a process prints when it is ready. Raises RuntimeError."""
    line = _pipe(process).readline()
    if not line:
        raise RuntimeError(f"{process.args!r} ended with exit code {process.wait()} before it was ready")
    ready: dict[str, Any] = json.loads(line)
    return ready


def _pipe(process: subprocess.Popen[bytes]) -> IO[bytes]:
    if process.stdout is None:
        raise RuntimeError("standard output is no pipe")
    return process.stdout
