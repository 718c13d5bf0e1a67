"""What a gateway's admin listener answers becomes a sentence and an exit code; a token goes nowhere else."""

from __future__ import annotations

import json
import socket
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import TYPE_CHECKING, Any, ClassVar

import pytest

from gateway.cli.admin_client import AdminClient, AdminRefused
from gateway.cli.exit_codes import ExitCode

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.unit


class Handler(BaseHTTPRequestHandler):
    status = 200
    body: bytes = b"{}"
    seen: ClassVar[list[tuple[str, str | None]]] = []

    def _answer(self) -> None:
        self.seen.append((self.path, self.headers.get("Authorization")))
        self.send_response(self.status)
        self.send_header("Location", "/elsewhere")
        self.end_headers()
        self.wfile.write(self.body)

    do_GET = do_POST = _answer  # noqa: N815 - the library looks for these names

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def url() -> Iterator[str]:
    Handler.status, Handler.body, Handler.seen = 200, b"{}", []
    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def refusal(url: str) -> AdminRefused:
    with pytest.raises(AdminRefused) as refused:
        AdminClient(url, "secret").post("/v1/orders", {})
    return refused.value


def test_the_address_of_the_metrics_is_good_too_and_reads_carry_no_token(url: str) -> None:
    client = AdminClient(f"{url}/metrics", "secret")
    assert client.get("/v1/audit", limit=5) == {}
    client.post("/v1/orders", {})
    assert Handler.seen == [("/v1/audit?limit=5", None), ("/v1/orders", "Bearer secret")]


@pytest.mark.parametrize(
    ("status", "reason", "code"),
    [
        (400, "bad_request", ExitCode.data_rejected),
        (401, "token_missing", ExitCode.not_permitted),
        (403, "scope_missing", ExitCode.not_permitted),
        (404, "unknown_target", ExitCode.no_input),
        (409, "same_person", ExitCode.data_rejected),
        (409, "conflict", ExitCode.unavailable),
        (503, "store_away", ExitCode.unavailable),
    ],
)
def test_each_refusal_has_an_exit_code_and_its_sentence(url: str, status: int, reason: str, code: ExitCode) -> None:
    Handler.status = status
    Handler.body = json.dumps({"error": {"reason": reason, "detail": "a sentence"}}).encode()
    refused = refusal(url)
    assert (refused.exit_code, refused.reason) == (code, reason)
    assert "a sentence" in str(refused)
    assert "secret" not in str(refused)


def test_every_mistake_is_on_a_line(url: str) -> None:
    Handler.status = 400
    Handler.body = json.dumps({"error": {"reason": "bad_request", "detail": "x", "mistakes": ["a", "b"]}}).encode()
    assert str(refusal(url)) == "bad_request: a\nbad_request: b"


@pytest.mark.parametrize(("status", "body"), [(200, b"no"), (200, b"[]"), (404, b"404: Not Found"), (302, b"")])
def test_what_is_no_admin_listener_of_ours_is_said_to_be_none(url: str, status: int, body: bytes) -> None:
    Handler.status, Handler.body = status, body
    assert refusal(url).exit_code is ExitCode.protocol_broken
    assert len(Handler.seen) == 1


def test_where_nobody_listens_trying_later_may_help() -> None:
    refused = refusal("http://127.0.0.1:9")
    assert refused.exit_code is ExitCode.unavailable
    for url in ("ftp://127.0.0.1", "http://127.0.0.1:port", "http://[::1", "http://"):
        assert refusal(url).exit_code is ExitCode.usage


def test_what_speaks_no_http_is_said_to_be_none() -> None:
    def answer() -> None:
        connection, _ = listener.accept()
        with connection:
            connection.recv(65_536)
            connection.sendall(b"\x00\x00nonsense\r\n")

    with socket.create_server(("127.0.0.1", 0)) as listener:
        answering = threading.Thread(target=answer)
        answering.start()
        assert refusal(f"http://127.0.0.1:{listener.getsockname()[1]}").exit_code is ExitCode.protocol_broken
        answering.join(timeout=5)
