"""Packets that belong to no connection: who may begin one, who must first show its address, who is told to go.

Rules that must stay true:
- A stranger waits its turn behind whoever is inside: one handshake is begun in a turn of the loop. What costs little,
  as a Retry does, is answered a few a turn.
- It costs memory only within bounds: waiting first packets, unfinished handshakes, and those of one address. Under load
  it first shows that its address is its own (Retry), which costs no memory at all.
- What is answered here is smaller than what came, has a rate, and never answers itself.
"""

from __future__ import annotations

import os
import time
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from aioquic._buffer import Buffer
from aioquic.quic.packet import (
    QuicErrorCode,
    QuicPacketType,
    QuicProtocolVersion,
    encode_quic_retry,
    encode_quic_version_negotiation,
    pull_quic_header,
)

from gateway.webtransport.quic.address_tokens import NONCE_BYTES, AddressTokens, TokenRefused, is_ours
from gateway.webtransport.quic.addresses import network_of
from gateway.webtransport.quic.answer_rate import AnswerRate
from gateway.webtransport.quic.refusals import connection_refusal
from gateway.webtransport.quic.stateless_resets import SHORTEST_ANSWERED_BYTES, StatelessResets

if TYPE_CHECKING:
    import asyncio

    from aioquic.quic.packet import QuicHeader

    from gateway.webtransport.quic.addresses import Address
    from gateway.webtransport.quic.metrics import QuicMetrics
    from gateway.webtransport.quic.rules import QuicRules

VERSIONS = (QuicProtocolVersion.VERSION_1, QuicProtocolVersion.VERSION_2)
_SMALLEST_INITIAL_BYTES = 1_200
_SMALLEST_CLIENTS_ID_BYTES = 8
_LARGEST_ID_BYTES = 20
_RESET_NOISE_BYTES = 32
_MET_A_TURN = 8


@dataclass(frozen=True, slots=True)
class Newcomer:
    """A client whose handshake begins.

    Attributes:
        data: its first packet.
        destination_id: what that is addressed to.
        original_id: what its very first packet was addressed to, before a Retry.
        retry_id: the id that a Retry gave it; None: there was none.
    """

    data: bytes
    address: Address
    destination_id: bytes
    original_id: bytes
    retry_id: bytes | None


class StrangersHost(Protocol):
    """The listener."""

    loop: asyncio.AbstractEventLoop

    @property
    def handshakes(self) -> int: ...

    @property
    def is_refusing(self) -> bool:
        """Full, or about to end."""

    def handshakes_of(self, network: str) -> int: ...

    def send(self, data: bytes, address: Address) -> None: ...

    def deliver(self, data: bytes, address: Address, now: float) -> bool:
        """To the connection that it belongs to; False: to none."""

    def begin(self, newcomer: Newcomer, now: float) -> bool:
        """False: its first packet could not be understood."""


class Strangers:
    """Of one listener."""

    def __init__(self, host: StrangersHost, rules: QuicRules, metrics: QuicMetrics) -> None:
        self._host = host
        self._rules = rules
        self._metrics = metrics
        self._ids = rules.connection_ids
        self._tokens = AddressTokens(rules.secret)
        self._resets = StatelessResets(rules.secret)
        self._answer_rate = AnswerRate(rules.max_retries_per_second)
        self._reset_rate = AnswerRate(rules.max_resets_per_second)
        self._misunderstandings = AnswerRate(rules.retry_above_misunderstood_per_second)
        self._waiting: deque[tuple[bytes, Address]] = deque()
        self._is_turn_due = False

    @property
    def waiting(self) -> int:
        return len(self._waiting)

    def clear(self) -> None:
        self._waiting.clear()

    def take(self, data: bytes, address: Address) -> None:
        """A packet with a long header. Only first packets and foreign versions are worth a look, in their turn."""
        if len(data) < _SMALLEST_INITIAL_BYTES or data[5] > _LARGEST_ID_BYTES:
            self._drop("unknown_connection")
            return
        if len(self._waiting) >= self._rules.max_waiting_initials:
            self._drop("flooded")
            return
        self._waiting.append((data, address))
        self._next_turn()

    def reset(self, data: bytes, address: Address, now: float) -> None:
        """A packet with a short header: its client believes in a connection that nobody knows.

        Only ids that this process can have made are answered: the token for another's would let anybody who sees an id
        end a connection that lives there, for all of them share the secret (RFC 9000 §21.11).
        """
        self._drop("unknown_connection")
        if len(data) < SHORTEST_ANSWERED_BYTES or not self._reset_rate.take(now):
            return
        connection_id = data[1 : 1 + self._ids.length_bytes]
        if not self._ids.is_own(connection_id):
            return
        packet = self._resets.packet(connection_id, received_bytes=len(data), random=os.urandom(_RESET_NOISE_BYTES))
        if packet is not None:
            self._metrics.resets.inc()
            self._host.send(packet, address)

    def _next_turn(self) -> None:
        if self._waiting and not self._is_turn_due:
            self._is_turn_due = True
            self._host.loop.call_soon(self._turn)

    def _turn(self) -> None:
        self._is_turn_due = False
        now = self._host.loop.time()
        for _ in range(min(len(self._waiting), _MET_A_TURN)):
            data, address = self._waiting.popleft()
            if not self._host.deliver(data, address, now) and self._meet(data, address, now):
                break
        self._next_turn()

    def _meet(self, data: bytes, address: Address, now: float) -> bool:
        """True: a handshake was begun."""
        try:
            header = pull_quic_header(Buffer(data=data), host_cid_length=self._ids.length_bytes)
        except ValueError:
            self._drop("malformed")
            return False
        if header.version not in VERSIONS:
            self._tell_versions(header, address, now)
            return False
        if header.packet_type is not QuicPacketType.INITIAL or len(header.destination_cid) < _SMALLEST_CLIENTS_ID_BYTES:
            self._drop("unknown_connection")
            return False
        if self._host.is_refusing:
            self._metrics.handshakes.labels(outcome="refused").inc()
            self._refuse(header, QuicErrorCode.CONNECTION_REFUSED, address, now)
            return False
        newcomer = self._with_address_shown(header, data, address, now)
        if newcomer is None or not self._has_room_for(address):
            return False
        if not self._host.begin(newcomer, now):
            self._misunderstandings.take(now)
        return True

    def _with_address_shown(self, header: QuicHeader, data: bytes, address: Address, now: float) -> Newcomer | None:
        """None: it was told to show its address, or what it showed does not hold."""
        destination_id = header.destination_cid
        if header.token and is_ours(header.token):
            told = self._tokens.original_id(header.token, address, destination_id=destination_id, now_ms=_unix_ms())
            if isinstance(told, TokenRefused):
                self._metrics.tokens_refused.labels(reason=told.value).inc()
                self._refuse(header, QuicErrorCode.INVALID_TOKEN, address, now)
                return None
            return Newcomer(data, address, destination_id, original_id=told, retry_id=destination_id)
        if (
            self._rules.retry_always
            or self._host.handshakes >= self._rules.retry_above_handshakes
            or not self._misunderstandings.has_left(now)  # noise costs as much as half a handshake, and leaves no trace
        ):
            self._ask_again(header, address, now)
            return None
        return Newcomer(data, address, destination_id, original_id=destination_id, retry_id=None)

    def _has_room_for(self, address: Address) -> bool:
        if self._host.handshakes >= self._rules.max_handshakes:
            self._drop("handshakes")
            return False
        if self._host.handshakes_of(network_of(address)) >= self._rules.max_handshakes_per_address:
            self._drop("handshakes_of_address")
            return False
        return True

    # Answers

    def _tell_versions(self, header: QuicHeader, address: Address, now: float) -> None:
        self._drop("version")
        # A version of 0 is itself such an answer: never answered, or two servers could be set on each other.
        if header.version and self._answer_rate.take(now):
            answer = encode_quic_version_negotiation(
                source_cid=header.destination_cid,
                destination_cid=header.source_cid,
                supported_versions=list(VERSIONS),
            )
            self._host.send(answer, address)

    def _ask_again(self, header: QuicHeader, address: Address, now: float) -> None:
        if not self._answer_rate.take(now):
            self._drop("flooded")
            return
        retry_id = self._ids.make(os.urandom(self._ids.length_bytes))
        token = self._tokens.make(
            address,
            original_id=header.destination_cid,
            retry_id=retry_id,
            now_ms=_unix_ms(),
            nonce=os.urandom(NONCE_BYTES),
        )
        self._metrics.retries.inc()
        answer = encode_quic_retry(
            version=header.version or 0,
            source_cid=retry_id,
            destination_cid=header.source_cid,
            original_destination_cid=header.destination_cid,
            retry_token=token,
        )
        self._host.send(answer, address)

    def _refuse(self, header: QuicHeader, code: QuicErrorCode, address: Address, now: float) -> None:
        if self._answer_rate.take(now):
            self._host.send(connection_refusal(header, code), address)

    def _drop(self, reason: str) -> None:
        self._metrics.dropped.labels(reason=reason).inc()


def _unix_ms() -> int:
    return time.time_ns() // 1_000_000
