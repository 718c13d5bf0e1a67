"""One bounded read of a key document, from a real server or a real file."""

from __future__ import annotations

import asyncio
import gzip
from typing import TYPE_CHECKING, Any

import pytest
from aiohttp import web

from gateway.admission.jwks_documents import Document, FileDocument, UrlDocument
from gateway.admission.keys import KeysUnreadable, UnreadableCause

if TYPE_CHECKING:
    from pathlib import Path

    import aiohttp

MAX_BYTES = 1_000


def _document(key_server: Any, http: aiohttp.ClientSession, timeout_ms: int = 5_000) -> UrlDocument:
    return UrlDocument(key_server.url, http, timeout_ms=timeout_ms, max_bytes=MAX_BYTES)


async def _cause(document: UrlDocument | FileDocument) -> UnreadableCause:
    with pytest.raises(KeysUnreadable) as failure:
        await document.read("")
    return failure.value.cause


async def test_a_document_is_read_whatever_its_content_type_says(key_server: Any, http: aiohttp.ClientSession) -> None:
    key_server.respond = lambda _: web.Response(body=b"x" * MAX_BYTES, content_type="text/html")
    assert await _document(key_server, http).read("") == Document(b"x" * MAX_BYTES, "")


async def test_a_document_that_did_not_change_is_not_sent_again(key_server: Any, http: aiohttp.ClientSession) -> None:
    def respond(request: web.Request) -> web.Response:
        is_known = request.headers.get("If-None-Match") == '"v1"'
        return web.Response(status=304) if is_known else web.Response(body=b"{}", headers={"ETag": '"v1"'})

    key_server.respond = respond
    document = _document(key_server, http)
    assert await document.read("") == Document(b"{}", '"v1"')
    assert await document.read('"v1"') is None


async def test_not_modified_is_no_answer_to_a_first_question(key_server: Any, http: aiohttp.ClientSession) -> None:
    key_server.fail(304)
    assert await _cause(_document(key_server, http)) is UnreadableCause.redirected


async def test_a_huge_version_name_is_not_kept(key_server: Any, http: aiohttp.ClientSession) -> None:
    key_server.respond = lambda _: web.Response(body=b"{}", headers={"ETag": '"' + "v" * 1_000 + '"'})
    assert await _document(key_server, http).read("") == Document(b"{}", "")


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_redirects_are_not_followed(key_server: Any, http: aiohttp.ClientSession, status: int) -> None:
    key_server.respond = lambda _: web.Response(status=status, headers={"Location": key_server.url})
    assert await _cause(_document(key_server, http)) is UnreadableCause.redirected
    assert key_server.num_requests == 1


@pytest.mark.parametrize("status", [204, 401, 404, 500, 503])
async def test_only_a_plain_success_is_a_document(key_server: Any, http: aiohttp.ClientSession, status: int) -> None:
    key_server.fail(status)
    assert await _cause(_document(key_server, http)) is UnreadableCause.bad_status


async def test_a_document_beyond_the_bound_is_not_read_to_its_end(key_server: Any, http: aiohttp.ClientSession) -> None:
    sent_bytes = 0

    async def endless(request: web.Request) -> web.StreamResponse:
        nonlocal sent_bytes
        response = web.StreamResponse()
        await response.prepare(request)
        while True:
            await response.write(b"x" * 65_536)
            sent_bytes += 65_536

    key_server.respond = endless
    assert await _cause(_document(key_server, http)) is UnreadableCause.too_large
    assert sent_bytes < 50_000_000


async def test_a_small_body_that_unpacks_to_a_large_one_is_too_large(
    key_server: Any, http: aiohttp.ClientSession
) -> None:
    bomb = gzip.compress(b"x" * 1_000_000)
    key_server.respond = lambda _: web.Response(body=bomb, headers={"Content-Encoding": "gzip"})
    assert await _cause(_document(key_server, http)) is UnreadableCause.too_large


async def test_a_server_that_does_not_answer_is_left_after_the_timeout(
    key_server: Any, http: aiohttp.ClientSession
) -> None:
    is_over = asyncio.Event()
    key_server.respond = lambda _: is_over.wait()
    assert await _cause(_document(key_server, http, timeout_ms=50)) is UnreadableCause.timeout
    is_over.set()


async def test_a_server_that_sends_drop_by_drop_is_left_after_the_timeout(
    key_server: Any, http: aiohttp.ClientSession
) -> None:
    is_over = asyncio.Event()

    async def drip(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(b"{")
        await is_over.wait()
        return response

    key_server.respond = drip
    assert await _cause(_document(key_server, http, timeout_ms=100)) is UnreadableCause.timeout
    is_over.set()


async def test_a_server_that_hangs_up_or_is_not_there_is_unreachable(
    key_server: Any, http: aiohttp.ClientSession
) -> None:
    def hang_up(request: web.Request) -> web.Response:
        assert request.transport is not None
        request.transport.abort()
        return web.Response()

    key_server.respond = hang_up
    assert await _cause(_document(key_server, http)) is UnreadableCause.unreachable
    nobody = UrlDocument("http://127.0.0.1:1/keys.json", http, timeout_ms=5_000, max_bytes=MAX_BYTES)
    assert await _cause(nobody) is UnreadableCause.unreachable


async def test_a_file_is_read_up_to_the_bound(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    document = FileDocument(path, max_bytes=MAX_BYTES)
    assert await _cause(document) is UnreadableCause.unreachable
    path.write_bytes(b"x" * MAX_BYTES)
    assert await document.read("") == Document(b"x" * MAX_BYTES, "")
    path.write_bytes(b"x" * (MAX_BYTES + 1))
    assert await _cause(document) is UnreadableCause.too_large


async def test_what_is_not_a_regular_file_is_not_opened(tmp_path: Path) -> None:
    assert await _cause(FileDocument(tmp_path, max_bytes=MAX_BYTES)) is UnreadableCause.unreachable
