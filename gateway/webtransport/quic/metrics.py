"""What an edge process counts of QUIC."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prometheus_client import Counter, Gauge

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry


class QuicMetrics:
    """Registers in `registry`. Labels are closed sets; nothing of a client is one."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.connections = Gauge(
            "patchbay_quic_connections", "QUIC connections with a finished handshake.", registry=registry
        )
        self.handshakes = Counter(
            "patchbay_quic_handshakes", "Handshakes, by what became of them.", ["outcome"], registry=registry
        )
        self.retries = Counter(
            "patchbay_quic_retries", "Clients that were asked to show that their address is theirs.", registry=registry
        )
        self.tokens_refused = Counter(
            "patchbay_quic_address_tokens_refused", "Address tokens that did not hold.", ["reason"], registry=registry
        )
        self.dropped = Counter(
            "patchbay_quic_packets_dropped", "Datagrams without effect, by reason.", ["reason"], registry=registry
        )
        self.resets = Counter(
            "patchbay_quic_stateless_resets", "Packets of forgotten connections, answered so.", registry=registry
        )
        self.migrations = Counter(
            "patchbay_quic_migrations", "Connections that went on from another address.", ["what"], registry=registry
        )
        self.closed = Counter(
            "patchbay_quic_closed", "Connections that ended, by who ended them.", ["by"], registry=registry
        )
        self.bytes = Counter("patchbay_quic_bytes", "Content of UDP datagrams.", ["direction"], registry=registry)
        self.unsent = Counter(
            "patchbay_quic_datagrams_unsent", "What the socket did not take; QUIC sends it again.", registry=registry
        )
        self.certificates = Counter(
            "patchbay_quic_certificate_reloads",
            "Changed certificate files, by outcome.",
            ["outcome"],
            registry=registry,
        )
        self.received_bytes = self.bytes.labels(direction="received")
        self.sent_bytes = self.bytes.labels(direction="sent")

    def certificate_reloaded(self, *, is_taken: bool) -> None:
        """Implements gateway.webtransport.quic.certificates.ReloadWatcher."""
        self.certificates.labels(outcome="taken" if is_taken else "refused").inc()
