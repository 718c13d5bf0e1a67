from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.webtransport.http3.request_head import BAD_REQUEST, PATH_TOO_LONG, RequestHead, read_head

pytestmark = pytest.mark.unit

CONNECT = {
    b":method": b"CONNECT",
    b":scheme": b"https",
    b":authority": b"gateway.example:4433",
    b":path": b"/v1/stream?token=x",
    b":protocol": b"webtransport",
}


def read(fields: dict[bytes, bytes], **others: bytes) -> RequestHead | int:
    changed = {**fields, **{f":{name}".encode(): value for name, value in others.items()}}
    return read_head([item for item in changed.items() if item[1] != b"-"], max_path_bytes=100)


def test_a_request_for_a_session_is_read() -> None:
    fields = [*CONNECT.items(), (b"origin", b"https://app.example"), (b"x", b"caf\xe9"), (b"x", b"2")]
    assert read_head(fields, max_path_bytes=100) == RequestHead(
        method="CONNECT",
        authority="gateway.example:4433",
        path="/v1/stream?token=x",
        protocol="webtransport",
        headers=(("origin", "https://app.example"), ("x", "café"), ("x", "2")),
    )


@pytest.mark.parametrize("authority", [b"127.0.0.1:4433", b"[::1]:4433", b"a.example", b"xn--bcher-kva.example"])
def test_hosts_and_addresses_are_taken(authority: bytes) -> None:
    assert isinstance(read(CONNECT, authority=authority), RequestHead)


@pytest.mark.parametrize(
    "others",
    [
        {"scheme": b"http"},
        {"scheme": b"-"},
        {"path": b"-"},
        {"path": b"v1/stream"},
        {"path": b"*"},
        {"path": b"/caf\xe9"},
        {"path": b"/a b"},
        {"authority": b""},
        {"authority": b"user@gateway.example"},
        {"authority": b"gateway.example/"},
        {"authority": b"x" * 300},
        {"method": b"GET"},
    ],
)
def test_what_is_no_request_is_a_bad_one(others: dict[str, bytes]) -> None:
    assert read(CONNECT, **others) == BAD_REQUEST


def test_a_path_has_a_longest_length() -> None:
    assert isinstance(read(CONNECT, path=b"/" + b"x" * 99), RequestHead)
    assert read(CONNECT, path=b"/" + b"x" * 100) == PATH_TOO_LONG


def test_a_plain_connect_has_no_path() -> None:
    assert read(CONNECT, protocol=b"-", path=b"-", scheme=b"-") == RequestHead(
        "CONNECT", "gateway.example:4433", "", "", ()
    )


@given(st.lists(st.tuples(st.sampled_from([*CONNECT, b"x"]) | st.binary(max_size=8), st.binary(max_size=120))))
def test_any_fields_give_a_request_or_a_status(fields: list[tuple[bytes, bytes]]) -> None:
    head = read_head(fields, max_path_bytes=100)
    assert isinstance(head, RequestHead) or head in (BAD_REQUEST, PATH_TOO_LONG)
