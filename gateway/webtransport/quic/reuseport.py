"""Several processes behind one UDP port: sockets with SO_REUSEPORT, and a filter that chooses by connection id.

Rules that must stay true:
- The gateway binds all sockets once, in the order of the processes, and keeps them open: the kernel numbers them in the
  order in which they were bound, and a closed one would give its number to another.
- A process that is started again gets the socket of the one before it, so that the connection ids of its number still
  arrive there, where a stateless reset answers them.

Source: Linux socket(7), SO_ATTACH_REUSEPORT_CBPF; the filter sees the datagram from the first byte of its content.
"""

from __future__ import annotations

import ctypes
import socket
import struct
import sys
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gateway.webtransport.quic.connection_ids import ConnectionIdLayout

_SO_ATTACH_REUSEPORT_CBPF = 51
_SO_RCVBUFFORCE = 33
_SO_SNDBUFFORCE = 32
_RECEIVE_BUFFER_BYTES = 4 * 1024 * 1024
_SEND_BUFFER_BYTES = 4 * 1024 * 1024

# Instructions of classic BPF (linux/bpf_common.h).
_LOAD_BYTE = 0x30  # BPF_LD | BPF_B | BPF_ABS
_JUMP_IF_BITS = 0x45  # BPF_JMP | BPF_JSET | BPF_K
_JUMP_IF_EQUAL = 0x15  # BPF_JMP | BPF_JEQ | BPF_K
_MODULO = 0x94  # BPF_ALU | BPF_MOD | BPF_K
_RETURN_A = 0x16  # BPF_RET | BPF_A

_LONG_HEADER_BIT = 0x80
_LONG_ID_LENGTH_AT = 5
_LONG_ID_AT = 6
_SHORT_ID_AT = 1
# Ids that clients choose have at least 8 bytes (RFC 9000 §7.2): their last sure byte is as good as a hash.
_CLIENTS_BYTE_AT = 7


class PortRefused(OSError):
    """The address cannot be bound; the text says why."""


@dataclass(frozen=True, slots=True)
class ReuseportGroup:
    """Bound and not blocking; socket i is process i's.

    Attributes:
        is_steered: whether the kernel took the filter. Without it packets go by the client's address, so a client that
            moves is lost where there are several processes.
    """

    sockets: tuple[socket.socket, ...]
    is_steered: bool

    @property
    def address(self) -> tuple[str, int]:
        host, port = self.sockets[0].getsockname()[:2]
        return host, port

    def close(self) -> None:
        for sock in self.sockets:
            sock.close()


def bind_reuseport(host: str, port: int, *, sockets: int, layout: ConnectionIdLayout) -> ReuseportGroup:
    """Bind `sockets` UDP sockets to one address.

    Args:
        port: 0 takes a free one.

    Raises:
        PortRefused: in use, or not an address of this machine.
    """
    made: list[socket.socket] = []
    try:
        family, where = _resolved(host, port)
        if sockets > 1:
            # With SO_REUSEPORT the kernel would let us share the port with a gateway that runs there already, and may
            # even choose that port for us.
            with _made(family, shared=False) as alone:
                alone.bind(where)
                where = alone.getsockname()
        for _ in range(sockets):
            sock = _made(family, shared=sockets > 1)
            made.append(sock)
            sock.bind(where)
            where = sock.getsockname()
        is_steered = sockets == 1 or _steer(made[0], layout, processes=sockets)
    except OSError as error:
        for sock in made:
            sock.close()
        raise PortRefused(error.errno, f"UDP {host}:{port} cannot be bound: {error.strerror or error}") from error
    return ReuseportGroup(tuple(made), is_steered)


def steering_program(layout: ConnectionIdLayout, *, processes: int) -> bytes:
    """The filter, as an array of `struct sock_filter`: which socket takes a datagram.

    A byte beyond the end of a datagram ends the filter with socket 0.
    """
    choose = ((_MODULO, 0, 0, processes), (_RETURN_A, 0, 0, 0))
    return b"".join(
        struct.pack("=HBBI", *instruction)
        for instruction in (
            (_LOAD_BYTE, 0, 0, 0),
            (_JUMP_IF_BITS, 3, 0, _LONG_HEADER_BIT),
            (_LOAD_BYTE, 0, 0, _SHORT_ID_AT + layout.process_index_at),
            *choose,
            (_LOAD_BYTE, 0, 0, _LONG_ID_LENGTH_AT),
            (_JUMP_IF_EQUAL, 0, 3, layout.length_bytes),
            (_LOAD_BYTE, 0, 0, _LONG_ID_AT + layout.process_index_at),
            *choose,
            (_LOAD_BYTE, 0, 0, _LONG_ID_AT + _CLIENTS_BYTE_AT),
            *choose,
        )
    )


def _steer(sock: socket.socket, layout: ConnectionIdLayout, *, processes: int) -> bool:
    program = steering_program(layout, processes=processes)
    instructions = ctypes.create_string_buffer(program, len(program))
    # struct sock_fprog { unsigned short len; struct sock_filter *filter; }
    fprog = struct.pack("@HP", len(program) // 8, ctypes.addressof(instructions))
    try:
        sock.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_REUSEPORT_CBPF, fprog)
    except OSError:
        return False
    return sys.platform == "linux"


def _made(family: socket.AddressFamily, *, shared: bool) -> socket.socket:
    sock = socket.socket(family, socket.SOCK_DGRAM)
    sock.setblocking(False)
    if shared:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    if family is socket.AF_INET6:
        with suppress(OSError):
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
    for forced, usual, size_bytes in (
        (_SO_RCVBUFFORCE, socket.SO_RCVBUF, _RECEIVE_BUFFER_BYTES),
        (_SO_SNDBUFFORCE, socket.SO_SNDBUF, _SEND_BUFFER_BYTES),
    ):
        try:
            sock.setsockopt(socket.SOL_SOCKET, forced, size_bytes)
        except OSError:  # only with CAP_NET_ADMIN; else the kernel's own maximum holds
            sock.setsockopt(socket.SOL_SOCKET, usual, size_bytes)
    return sock


def _resolved(host: str, port: int) -> tuple[socket.AddressFamily, tuple[str, int] | tuple[str, int, int, int]]:
    family, _, _, _, where = socket.getaddrinfo(host, port, type=socket.SOCK_DGRAM, flags=socket.AI_PASSIVE)[0]
    return family, where  # type: ignore[return-value]
