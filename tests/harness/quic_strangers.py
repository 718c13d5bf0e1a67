"""Packets of nobody: first packets of clients that never go on, and sockets with many addresses."""

from __future__ import annotations

import socket

from aioquic.quic.connection import QuicConnection

from tests.harness.raw_quic import RawClient, client_configuration
from tests.harness.waiting import until


async def is_answered(client: RawClient, said: bytes = b"hello") -> None:
    client.say(said)
    await until(lambda: client.received.get(0, b"").endswith(said), what="the answer")


def first_packet() -> bytes:
    """Of another client each time."""
    client = QuicConnection(configuration=client_configuration())
    client.connect(("127.0.0.1", 1), now=0.0)
    return client.datagrams_to_send(now=0.0)[0][0]


class Spoofer:
    """Sends from many sockets, and reads nothing unless asked."""

    def __init__(self, address: tuple[str, int], *, sockets: int = 20) -> None:
        self._address = address
        self.sockets = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(sockets)]
        for number, sock in enumerate(self.sockets):
            sock.bind((f"127.0.{number // 200 + 1}.{number % 200 + 1}", 0))
            sock.setblocking(False)

    def send(self, data: bytes, number: int = 0) -> None:
        self.sockets[number % len(self.sockets)].sendto(data, self._address)

    def answers(self, number: int = 0) -> list[bytes]:
        found: list[bytes] = []
        try:
            while True:
                found.append(self.sockets[number].recv(2_048))
        except BlockingIOError:
            return found

    def close(self) -> None:
        for sock in self.sockets:
            sock.close()


async def answer_of(spoofer: Spoofer) -> bytes:
    found: list[bytes] = []

    def has_come() -> bool:
        found.extend(spoofer.answers())
        return bool(found)

    await until(has_come, what="an answer")
    return found[0]
