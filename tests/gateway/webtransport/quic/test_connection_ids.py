"""Connection ids: as the draft's vectors say, and always readable by the kernel."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.webtransport.quic.connection_ids import ConnectionIdScheme, QuicLbRouting, connection_id_scheme

pytestmark = pytest.mark.unit

KEY = bytes.fromhex("8f95f09245765f80256934e50c66207f")
ENCRYPTED = [
    (0, "ed793a", "ee080dbf", "0720b1d07b359d3c"),
    (1, "ed793a51d49b8f5fab65", "ee080dbf48", "2fcc381bc74cb4fbad2823a3d1f8fed2"),
    (2, "ed793a51d49b8f5f", "ee080dbf48c0d1e5", "504dd2d05a7b0de9b2b9907afb5ecf8cc3"),
    # The draft prints the first octet 12 and the rotation 3 beside it; 12 is that of rotation 0.
    (0, "ed793a51d49b8f5fab", "ee080dbf48c0d1e55d", "125779c9cc86beb3a3a4a3ca96fce4bfe0cdbc"),
]
PLAIN = [(0, "c4605e", "4504cc4f", "07c4605e4504cc4f")]


@pytest.mark.parametrize(("rotation", "server_id", "nonce", "connection_id"), ENCRYPTED)
def test_the_encrypted_vectors_of_the_draft_hold(rotation: int, server_id: str, nonce: str, connection_id: str) -> None:
    routing = QuicLbRouting(bytes.fromhex(server_id), len(nonce) // 2, KEY, rotation)
    assert routing.encode(bytes.fromhex(nonce)).hex() == connection_id
    assert routing.decode(bytes.fromhex(connection_id)).hex() == server_id


@pytest.mark.parametrize(("rotation", "server_id", "nonce", "connection_id"), PLAIN)
def test_the_plain_vectors_of_the_draft_hold(rotation: int, server_id: str, nonce: str, connection_id: str) -> None:
    routing = QuicLbRouting(bytes.fromhex(server_id), len(nonce) // 2, None, rotation)
    assert routing.encode(bytes.fromhex(nonce)).hex() == connection_id
    assert routing.decode(bytes.fromhex(connection_id)).hex() == server_id


def test_the_worked_example_of_the_draft_holds() -> None:
    routing = QuicLbRouting(bytes.fromhex("31441a"), 4, bytes.fromhex("fdf726a9893ec05c0632d3956680baf0"))
    assert routing.encode(bytes.fromhex("9c69c275")).hex() == "0767947d29be054a"


@pytest.mark.parametrize("scheme", ["plain", "nlb", "quic_lb", "encrypted"])
def test_an_id_is_known_as_own_only_by_the_process_that_made_it(scheme: str) -> None:
    def made(process_index: int, server: bytes) -> ConnectionIdScheme:
        parts = {"key": KEY} if scheme == "encrypted" else {}
        name = "quic_lb" if scheme == "encrypted" else scheme
        server_id = b"" if scheme == "plain" else server * 8
        return connection_id_scheme(
            name,
            server_id=server_id,
            process_index=process_index,
            processes=3,
            **parts,  # type: ignore[arg-type]
        )

    one = made(1, b"a")
    for number in range(40):
        own = one.make(bytes((number * 37 + at * 11) % 256 for at in range(one.length_bytes)))
        assert one.is_own(own)
        assert not made(2, b"a").is_own(own)
        assert made(1, b"b").is_own(own) is (scheme == "plain")
        assert not one.is_own(own[:-1])


def schemes(processes: int, process_index: int) -> st.SearchStrategy[ConnectionIdScheme]:
    parts = {"process_index": process_index, "processes": processes}
    return st.one_of(
        st.just(connection_id_scheme("plain", **parts)),  # type: ignore[arg-type]
        st.binary(min_size=8, max_size=8).map(
            lambda server_id: connection_id_scheme("nlb", server_id=server_id, **parts)  # type: ignore[arg-type]
        ),
        st.builds(
            lambda server_id, key, rotation: connection_id_scheme(
                "quic_lb", server_id=server_id, key=key, rotation=rotation, **parts
            ),
            st.binary(min_size=1, max_size=14),
            st.none() | st.binary(min_size=16, max_size=16),
            st.integers(0, 6),
        ),
    )


@given(st.data())
def test_every_id_tells_its_process_and_its_server(data: st.DataObject) -> None:
    processes = data.draw(st.integers(1, 64))
    index = data.draw(st.integers(0, processes - 1))
    scheme = data.draw(schemes(processes, index))
    random = data.draw(st.binary(min_size=scheme.length_bytes, max_size=scheme.length_bytes))
    made = scheme.make(random)
    assert len(made) == scheme.length_bytes <= 20
    assert scheme.process_of(made) == index
    if scheme.routing is not None:
        assert scheme.routing.decode(made) == scheme.routing.server_id
        assert made[0] >> 5 == scheme.routing.rotation


def test_one_process_alone_gives_nothing_away() -> None:
    scheme = connection_id_scheme("plain")
    at = scheme.layout.process_index_at
    assert {scheme.make(bytes(at) + bytes((byte, 0, 0)))[at] for byte in range(256)} == set(range(256))


def test_an_id_for_aws_has_its_server_id_after_the_first_octet() -> None:
    scheme = connection_id_scheme("nlb", server_id=bytes.fromhex("0123456789abcdef"))
    assert scheme.make(bytes(16))[1:9].hex() == "0123456789abcdef"


@pytest.mark.parametrize(
    ("scheme", "parts", "words"),
    [
        ("random", {}, "no scheme"),
        ("nlb", {"server_id": b"1234567"}, "8 bytes"),
        ("quic_lb", {}, "1 to 14 bytes"),
        ("quic_lb", {"server_id": b"x" * 15}, "1 to 14 bytes"),
        ("quic_lb", {"server_id": b"x", "key": b"short"}, "16 bytes"),
        ("quic_lb", {"server_id": b"x", "rotation": 7}, "0 to 6"),
        ("quic_lb", {"server_id": b"x" * 10, "nonce_bytes": 10}, "nonce is 5 to 9"),
        ("quic_lb", {"server_id": b"x" * 10, "key": KEY, "nonce_bytes": 3}, "nonce is 4 to 8"),
        ("plain", {"process_index": 2, "processes": 2}, "process 2 of 2"),
        ("plain", {"processes": 257}, "at most 256"),
    ],
)
def test_what_does_not_fit_together_is_said(scheme: str, parts: dict[str, object], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        connection_id_scheme(scheme, **parts)  # type: ignore[arg-type]


def test_a_wrong_number_of_random_bytes_is_refused() -> None:
    with pytest.raises(ValueError, match="random bytes"):
        connection_id_scheme("plain").make(b"")
    with pytest.raises(ValueError, match="nonce"):
        QuicLbRouting(b"x", 4).encode(b"123")
