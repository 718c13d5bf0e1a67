"""Connection ids that a load balancer and the kernel can read: plain, AWS Network Load Balancer, QUIC-LB.

Rules that must stay true:
- All ids of a gateway have one length, and the byte that says which process they belong to stands at one place.
- That byte is read without a key, because the kernel reads it (gateway/webtransport/quic/reuseport.py). It is drawn
  among all bytes that are the process index modulo the number of processes, so that it is not one value for ever.
- What a load balancer reads starts at the second octet, as draft-ietf-quic-load-balancers says (after -21: one AES pass
  where server id and nonce are 16 octets together, else four). The byte of the process stands behind what is encrypted.

Source: draft-ietf-quic-load-balancers, "CID format", "Server Actions"; its test vectors are in the tests.
"""

from __future__ import annotations

from dataclasses import dataclass

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

MAX_LENGTH_BYTES = 20
NLB_SERVER_ID_BYTES = 8
_NLB_NONCE_BYTES = 7
_PLAIN_LENGTH_BYTES = 10
_PLAIN_PROCESS_AT = 7
_BLOCK_BYTES = 16
_MIN_NONCE_BYTES = 4
_MAX_ROTATION = 6
_MAX_PROCESSES = 256


@dataclass(frozen=True, slots=True)
class ConnectionIdLayout:
    """What the kernel must know.

    Attributes:
        process_index_at: where the byte of the process stands; modulo the number of processes it is the index.
    """

    length_bytes: int
    process_index_at: int


class ConnectionIdScheme:
    """Makes the ids of one process."""

    def __init__(
        self,
        layout: ConnectionIdLayout,
        *,
        process_index: int,
        processes: int,
        routing: QuicLbRouting | None,
    ) -> None:
        if not 0 <= process_index < processes <= _MAX_PROCESSES:
            raise ValueError(f"process {process_index} of {processes}: at most {_MAX_PROCESSES} processes")
        self.layout = layout
        self.process_index = process_index
        self.processes = processes
        self.routing = routing

    @property
    def length_bytes(self) -> int:
        return self.layout.length_bytes

    def make(self, random: bytes) -> bytes:
        """An id from `length_bytes` random bytes; the same bytes give the same id."""
        if len(random) != self.layout.length_bytes:
            raise ValueError(f"{self.layout.length_bytes} random bytes make an id, not {len(random)}")
        process_byte = self._process_byte(random[self.layout.process_index_at])
        at = self.layout.process_index_at
        if self.routing is None:
            return b"".join((random[:at], bytes((process_byte,)), random[at + 1 :]))
        if self.routing.key is None:
            # The byte of the process is the first of the nonce.
            made = self.routing.encode(random[at : at + self.routing.nonce_bytes], length_bytes=self.length_bytes)
            return b"".join((made[:at], bytes((process_byte,)), made[at + 1 :]))
        nonce = random[1 : 1 + self.routing.nonce_bytes]
        return self.routing.encode(nonce, length_bytes=self.length_bytes) + bytes((process_byte,))

    def process_of(self, connection_id: bytes) -> int:
        """The index of the process that made this id."""
        return connection_id[self.layout.process_index_at] % self.processes

    def is_own(self, connection_id: bytes) -> bool:
        """Whether this process can have made it: its own index, and its own server id where there is one."""
        if len(connection_id) != self.layout.length_bytes or self.process_of(connection_id) != self.process_index:
            return False
        return self.routing is None or self.routing.decode(connection_id) == self.routing.server_id

    def _process_byte(self, random: int) -> int:
        slots = (_MAX_PROCESSES - 1 - self.process_index) // self.processes + 1
        return self.process_index + self.processes * (random % slots)


@dataclass(frozen=True, slots=True)
class QuicLbRouting:
    """A configuration of draft-ietf-quic-load-balancers.

    Attributes:
        server_id: 1 to 14 octets.
        nonce_bytes: of what the load balancer takes for the nonce.
        key: 16 octets; None: readable by everyone.
        rotation: 0 to 6, which of the load balancer's configurations this is.
    """

    server_id: bytes
    nonce_bytes: int
    key: bytes | None = None
    rotation: int = 0

    def encode(self, nonce: bytes, *, length_bytes: int | None = None) -> bytes:
        """First octet, server id and nonce. The first octet tells `length_bytes` (default: what is returned)."""
        if len(nonce) != self.nonce_bytes:
            raise ValueError(f"a nonce of {self.nonce_bytes} octets, not {len(nonce)}")
        block = self.server_id + nonce
        total_bytes = 1 + len(block) if length_bytes is None else length_bytes
        first = bytes((self.rotation << 5 | (total_bytes - 1) & 0x1F,))
        if self.key is None:
            return first + block
        if len(block) == _BLOCK_BYTES:
            return first + _encrypted(self.key, block)
        return first + _four_passes(self.key, block, (1, 2, 3, 4))

    def decode(self, connection_id: bytes) -> bytes:
        """The server id in it, as a load balancer reads it."""
        block = connection_id[1 : 1 + len(self.server_id) + self.nonce_bytes]
        if self.key is None:
            plain = block
        elif len(block) == _BLOCK_BYTES:
            decryptor = Cipher(algorithms.AES(self.key), modes.ECB()).decryptor()
            plain = decryptor.update(block) + decryptor.finalize()
        else:
            plain = _four_passes_back(self.key, block)
        return plain[: len(self.server_id)]


def connection_id_scheme(
    scheme: str,
    *,
    server_id: bytes = b"",
    key: bytes | None = None,
    rotation: int = 0,
    nonce_bytes: int | None = None,
    process_index: int = 0,
    processes: int = 1,
) -> ConnectionIdScheme:
    """The scheme of that name: `plain`, `nlb` or `quic_lb`.

    Raises:
        ValueError: the parts do not fit together; the text is for the operator.
    """
    if scheme == "plain":
        layout = ConnectionIdLayout(_PLAIN_LENGTH_BYTES, _PLAIN_PROCESS_AT)
        return ConnectionIdScheme(layout, process_index=process_index, processes=processes, routing=None)
    if scheme == "nlb":
        if len(server_id) != NLB_SERVER_ID_BYTES:
            raise ValueError(f"a server id of AWS is {NLB_SERVER_ID_BYTES} bytes (16 hexadecimal digits)")
        routing = QuicLbRouting(server_id=server_id, nonce_bytes=_NLB_NONCE_BYTES)
        layout = ConnectionIdLayout(1 + NLB_SERVER_ID_BYTES + _NLB_NONCE_BYTES, 1 + NLB_SERVER_ID_BYTES)
        return ConnectionIdScheme(layout, process_index=process_index, processes=processes, routing=routing)
    if scheme == "quic_lb":
        routing = _quic_lb(server_id, key=key, rotation=rotation, nonce_bytes=nonce_bytes)
        block_bytes = len(server_id) + routing.nonce_bytes
        if key is None:
            layout = ConnectionIdLayout(1 + block_bytes, 1 + len(server_id))
        else:
            layout = ConnectionIdLayout(2 + block_bytes, 1 + block_bytes)
        return ConnectionIdScheme(layout, process_index=process_index, processes=processes, routing=routing)
    raise ValueError(f"no scheme of connection ids is called {scheme!r}")


def _quic_lb(server_id: bytes, *, key: bytes | None, rotation: int, nonce_bytes: int | None) -> QuicLbRouting:
    if not 0 <= rotation <= _MAX_ROTATION:
        raise ValueError(f"a rotation of QUIC-LB is 0 to {_MAX_ROTATION}")
    if key is not None and len(key) != _BLOCK_BYTES:
        raise ValueError(f"a key of QUIC-LB is {_BLOCK_BYTES} bytes, not {len(key)}")
    if key is None:
        room_bytes, min_nonce_bytes, preferred_bytes = MAX_LENGTH_BYTES - 1, _MIN_NONCE_BYTES + 1, 9
    else:
        room_bytes, min_nonce_bytes = MAX_LENGTH_BYTES - 2, _MIN_NONCE_BYTES
        preferred_bytes = _BLOCK_BYTES - len(server_id)
    if not 1 <= len(server_id) <= room_bytes - min_nonce_bytes:
        raise ValueError(f"a server id of QUIC-LB is 1 to {room_bytes - min_nonce_bytes} bytes, not {len(server_id)}")
    if nonce_bytes is None:
        nonce_bytes = max(min_nonce_bytes, min(preferred_bytes, room_bytes - len(server_id)))
    if not min_nonce_bytes <= nonce_bytes <= room_bytes - len(server_id):
        raise ValueError(
            f"beside a server id of {len(server_id)} bytes the nonce is {min_nonce_bytes} to"
            f" {room_bytes - len(server_id)} bytes, not {nonce_bytes}"
        )
    return QuicLbRouting(server_id=server_id, nonce_bytes=nonce_bytes, key=key, rotation=rotation)


def _encrypted(key: bytes, block: bytes) -> bytes:
    encryptor = Cipher(algorithms.AES(key), modes.ECB()).encryptor()
    return encryptor.update(block) + encryptor.finalize()


def _halves(block: bytes) -> tuple[bytearray, bytearray]:
    """Left and right; of an odd length, the middle octet is split between both."""
    half = (len(block) + 1) // 2
    left, right = bytearray(block[:half]), bytearray(block[len(block) - half :])
    _clear_middle(left, right, len(block))
    return left, right


def _joined(left: bytearray, right: bytearray, length: int) -> bytes:
    if length % 2 == 0:
        return bytes(left + right)
    return bytes(left[:-1]) + bytes((left[-1] | right[0],)) + bytes(right[1:])


def _clear_middle(left: bytearray, right: bytearray, length: int) -> None:
    if length % 2:
        left[-1] &= 0xF0
        right[0] &= 0x0F


def _four_passes(key: bytes, block: bytes, passes: tuple[int, ...]) -> bytes:
    left, right = _halves(block)
    for number in passes:
        source, target = (left, right) if number % 2 else (right, left)
        expanded = bytes(source).ljust(_BLOCK_BYTES - 2, b"\0") + bytes((len(block), number))
        for at, octet in enumerate(_encrypted(key, expanded)[: len(target)]):
            target[at] ^= octet
        _clear_middle(left, right, len(block))
    return _joined(left, right, len(block))


def _four_passes_back(key: bytes, block: bytes) -> bytes:
    """A Feistel network undoes itself in the opposite order."""
    return _four_passes(key, block, (4, 3, 2, 1))
