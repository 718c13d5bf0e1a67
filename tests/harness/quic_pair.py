"""A client and a server in one process on a clock of their own: no sockets, no loop, loss as the test likes."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from aioquic import tls
from aioquic._buffer import Buffer
from aioquic.quic.configuration import QuicConfiguration
from aioquic.quic.connection import QuicConnection
from aioquic.quic.events import DatagramFrameReceived, QuicEvent, StreamDataReceived
from aioquic.quic.packet import QuicPacketType, pull_quic_header
from aioquic.quic.packet_builder import QuicPacketBuilder

from gateway.webtransport.quic.certificates import read_pair
from gateway.webtransport.quic.stateless_resets import StatelessResets
from tests.harness.raw_quic import SECRET, client_configuration, quic_rules

if TYPE_CHECKING:
    from collections.abc import Callable

    from gateway.dev_certificates import DevCertificate
    from gateway.webtransport.quic.rules import QuicRules
    from gateway.webtransport.quic.server_connection import ServerConnection

CLIENT, SERVER = ("192.0.2.1", 1_000), ("192.0.2.2", 443)
_ONE_WAY_S = 0.01
_MOST_TURNS = 4_000


class QuicPair:
    """Both ends, with all that each of them has received."""

    def __init__(
        self,
        server_configuration: QuicConfiguration,
        client: QuicConnection,
        *,
        kind: type[ServerConnection],
        rules: QuicRules,
    ) -> None:
        self.now = 1.0
        self.client_address = CLIENT
        """Where the client's packets come from; a test may move it."""
        self.client: Any = client
        self.made_ids: list[tuple[bytes, bytes]] = []
        self._resets = StatelessResets(SECRET)
        self._rules = rules
        self.client_events: list[QuicEvent] = []
        self.server_events: list[QuicEvent] = []
        self.on_the_way: list[tuple[float, bytes, bool]] = []
        client.connect(SERVER, now=self.now)
        first = client.datagrams_to_send(now=self.now)
        header = pull_quic_header(Buffer(data=first[0][0]), host_cid_length=rules.connection_ids.length_bytes)
        self.server: Any = kind(
            configuration=server_configuration,
            rules=rules,
            new_id=self._new_id,
            original_destination_connection_id=header.destination_cid,
            retry_source_connection_id=None,
        )
        self.client_peer_id = self.server.host_cid
        self.on_the_way += [(self.now + _ONE_WAY_S, data, True) for data, _ in first]

    def _new_id(self) -> tuple[bytes, bytes]:
        made = self._rules.connection_ids.make(os.urandom(self._rules.connection_ids.length_bytes))
        self.made_ids.append((made, self._resets.token(made)))
        return self.made_ids[-1]

    def run(
        self, *, fate: Callable[[bytes, bool], list[float]] = lambda _data, _to_server: [0.0], for_s: float = 1.5
    ) -> None:
        """Let both talk.

        Args:
            fate: by how many seconds each copy of a datagram comes later than others; none: it is lost.
        """
        until = self.now + for_s
        for _ in range(_MOST_TURNS):
            self._collect(fate)
            times = [at for at, _, _ in self.on_the_way]
            times += [at for at in (self.client.get_timer(), self.server.get_timer()) if at is not None]
            if not times or min(times) > until:
                break
            self.now = max(self.now, min(times))
            self._deliver()
            for end in (self.client, self.server):
                at = end.get_timer()
                if at is not None and at <= self.now:
                    end.handle_timer(now=self.now)
        self.now = max(self.now, until)

    def _collect(self, fate: Callable[[bytes, bool], list[float]]) -> None:
        for end, events, to_server in (
            (self.client, self.client_events, True),
            (self.server, self.server_events, False),
        ):
            while (event := end.next_event()) is not None:
                events.append(event)
            if end is self.server and not end._network_paths:
                continue
            for data, _ in end.datagrams_to_send(now=self.now):
                for late_s in fate(data, to_server):
                    self.on_the_way.append((self.now + _ONE_WAY_S + late_s, data, to_server))

    def _deliver(self) -> None:
        due = sorted((passage for passage in self.on_the_way if passage[0] <= self.now), key=lambda passage: passage[0])
        self.on_the_way = [passage for passage in self.on_the_way if passage[0] > self.now]
        for _, data, to_server in due:
            if to_server:
                self.server.receive_datagram(data, self.client_address, now=self.now)
            else:
                self.client.receive_datagram(data, SERVER, now=self.now)

    def send_from_client(self, payload: bytes) -> None:
        """A packet with these frames, sealed as the client seals, given to the server at once."""
        builder = QuicPacketBuilder(
            host_cid=self.client.host_cid,
            is_client=True,
            max_datagram_size=2_000,
            packet_number=self.client._packet_number,
            peer_cid=self.client._peer_cid.cid,
            version=self.client._version,
        )
        builder.start_packet(QuicPacketType.ONE_RTT, self.client._cryptos[tls.Epoch.ONE_RTT])
        builder._buffer.push_bytes(payload)
        datagrams, _ = builder.flush()
        self.client._packet_number = builder.packet_number
        self.server.receive_datagram(datagrams[0], self.client_address, now=self.now)

    def server_read(self, stream_id: int) -> int:
        """Bytes that the layer above the server got of this stream."""
        return len(read(self.server_events, stream_id))

    @property
    def client_datagrams(self) -> list[bytes]:
        return [event.data for event in self.client_events if isinstance(event, DatagramFrameReceived)]


def read(events: list[QuicEvent], stream_id: int) -> bytes:
    return b"".join(
        event.data for event in events if isinstance(event, StreamDataReceived) and event.stream_id == stream_id
    )


def pair(
    files: DevCertificate,
    *,
    kind: type[ServerConnection],
    rules: QuicRules | None = None,
    client: dict[str, Any] | None = None,
    on_ticket: Callable[[Any], None] | None = None,
) -> QuicPair:
    rules = rules or quic_rules()
    made = read_pair(files.certificate_file, files.key_file)
    configuration = QuicConfiguration(
        is_client=False,
        alpn_protocols=["h3"],
        connection_id_length=rules.connection_ids.length_bytes,
        max_data=rules.connection_window_bytes,
        max_stream_data=rules.stream_window_bytes,
        max_datagram_size=rules.max_datagram_bytes,
        max_datagram_frame_size=65_535,
    )
    configuration.certificate, configuration.private_key = made.chain[0], made.private_key
    asking = QuicConnection(configuration=client_configuration(**(client or {})), session_ticket_handler=on_ticket)
    return QuicPair(configuration, asking, kind=kind, rules=rules)
