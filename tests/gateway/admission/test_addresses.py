"""Limits for each client address: who counts as one, what is limited, and what is only told."""

from __future__ import annotations

from typing import Any

import pytest
import structlog
from prometheus_client import CollectorRegistry

from gateway.admission.addresses import AddressLimits, network_part
from gateway.admission.metrics import AdmissionMetrics
from gateway.admission.settings import AddressSettings
from gateway.errors import AddressRefused, AuthenticationFailed, Reason, Unavailable

pytestmark = pytest.mark.unit

SOMEBODY = "192.0.2.1"


class Door:
    """Limits with a clock of their own."""

    def __init__(self, **settings: Any) -> None:
        self.now_us = 0
        self.registry = CollectorRegistry()
        self.limits = AddressLimits(AddressSettings(**settings), AdmissionMetrics(self.registry), lambda: self.now_us)

    def knocks(self, address: str, times: int = 1) -> list[str]:
        """What became of each: `in`, or the limit that refused."""
        results = []
        for _ in range(times):
            try:
                with self.limits.knock(address):
                    results.append("in")
            except AddressRefused as refusal:
                results.append(refusal.limit_name)
        return results

    def fails(self, address: str, times: int) -> None:
        for _ in range(times):
            with self.limits.knock(address) as visit:
                visit.turned_away(AuthenticationFailed(Reason.token_signature_invalid))

    def count(self, limit: str, *, shadow: bool = False) -> float:
        labels = {"limit": limit, "shadow": str(shadow).lower()}
        return self.registry.get_sample_value("patchbay_address_refusals_total", labels) or 0.0


@pytest.mark.parametrize(
    ("address", "other"),
    [
        ("192.0.2.1", "::ffff:192.0.2.1"),
        ("192.0.2.1", "::FFFF:c000:0201"),
        ("2001:db8::1", "2001:db8::ffff:1:2:3"),
        ("fe80::1%eth0", "fe80::2"),
    ],
)
def test_these_are_one_address(address: str, other: str) -> None:
    assert network_part(address) == network_part(other) is not None


@pytest.mark.parametrize(("address", "other"), [("192.0.2.1", "192.0.2.2"), ("2001:db8::1", "2001:db8:0:1::1")])
def test_these_are_two(address: str, other: str) -> None:
    assert network_part(address) != network_part(other)


@pytest.mark.parametrize("text", ["", "unix:/run/x", "localhost", "1.2.3", "::g", "1.2.3.4.5", "\0", "é"])
def test_what_is_no_address_is_not_limited(text: str) -> None:
    assert network_part(text) is None
    assert Door(handshake_burst=1).knocks(text, 3) == ["in"] * 3


def test_handshakes_are_limited_before_a_token_is_seen() -> None:
    door = Door(handshakes_per_minute=60, handshake_burst=2)
    assert door.knocks(SOMEBODY, 3) == ["in", "in", "handshakes"]
    assert door.knocks("192.0.2.2") == ["in"]
    door.now_us = 1_000_000
    assert door.knocks(SOMEBODY, 2) == ["in", "handshakes"]
    assert door.count("handshakes") == 2


def test_the_refusal_says_which_limit_it_was_and_when_to_come_again() -> None:
    door = Door(handshakes_per_minute=30, handshake_burst=1)
    door.knocks(SOMEBODY)
    with pytest.raises(AddressRefused) as refused:
        door.limits.knock(SOMEBODY)
    refusal = refused.value
    assert (refusal.reason, refusal.retry_after_ms) == (Reason.address_limited, 2_000)
    assert (refusal.limit_name, refusal.limit, refusal.window_s) == ("handshakes", 1, 2)
    assert SOMEBODY not in refusal.detail


def test_wrong_tokens_are_limited_more_tightly_and_then_no_token_is_looked_at() -> None:
    door = Door(failures_per_minute=60, failure_burst=2)
    door.fails(SOMEBODY, 2)
    assert door.knocks(SOMEBODY) == ["failures"]
    door.now_us = 1_000_000
    assert door.knocks(SOMEBODY) == ["in"]


def test_what_is_not_the_tokens_fault_does_not_count_against_its_address() -> None:
    door = Door(failures_per_minute=60, failure_burst=1)
    for _ in range(5):
        with door.limits.knock(SOMEBODY) as visit:
            visit.turned_away(Unavailable(Reason.too_many_sessions))
    assert door.knocks(SOMEBODY) == ["in"]


def test_connections_that_never_send_their_start_are_bounded() -> None:
    door = Door(max_pending=2)
    with door.limits.knock(SOMEBODY), door.limits.knock(SOMEBODY):
        assert door.knocks(SOMEBODY) == ["pending"]
        assert door.knocks("192.0.2.2") == ["in"]
    assert door.knocks(SOMEBODY) == ["in"]
    assert not door.limits._pending


@pytest.mark.parametrize(
    ("network", "address"),
    [
        ("192.0.2.0/24", "192.0.2.77"),
        ("192.0.2.0/24", "::ffff:192.0.2.77"),
        ("::ffff:192.0.2.0/120", "192.0.2.77"),
        ("2001:db8::/32", "2001:db8:1:2::3"),
        ("::1/128", "::1"),
        ("0.0.0.0/0", "203.0.113.9"),
    ],
)
def test_an_exempt_network_is_not_limited(network: str, address: str) -> None:
    door = Door(handshake_burst=1, exempt_networks=(network,))
    assert door.knocks(address, 5) == ["in"] * 5
    assert door.limits.num_addresses == 0


def test_others_than_the_exempt_networks_are_limited() -> None:
    door = Door(handshake_burst=1, exempt_networks=("192.0.2.0/25", "2001:db8::/32"))
    assert door.knocks("192.0.2.200", 2) == ["in", "handshakes"]
    assert door.knocks("2001:db9::1", 2) == ["in", "handshakes"]


def test_this_machine_is_exempt_unless_the_settings_say_otherwise() -> None:
    assert Door(handshake_burst=1).knocks("127.0.0.1", 3) == ["in"] * 3
    assert Door(handshake_burst=1, exempt_networks=()).knocks("127.0.0.1", 2) == ["in", "handshakes"]


def test_a_shadow_limit_counts_and_tells_and_refuses_nobody() -> None:
    door = Door(handshakes_per_minute=60, handshake_burst=1, is_shadow=True)
    with structlog.testing.capture_logs() as lines:
        assert door.knocks(SOMEBODY, 3) == ["in"] * 3
    assert (door.count("handshakes", shadow=True), door.count("handshakes")) == (2, 0)
    assert lines == [
        {"event": "limit.would_refuse", "log_level": "info", "level": "address", "limit": "handshakes", "times": 1}
    ]


def test_a_flood_is_one_line_a_second_and_no_line_names_an_address() -> None:
    door = Door(handshakes_per_minute=1, handshake_burst=1)
    with structlog.testing.capture_logs() as lines:
        for _ in range(1_000):
            door.knocks(SOMEBODY)
            door.now_us += 2_000
    assert [line["times"] for line in lines] == [1, 500]
    assert {line["event"] for line in lines} == {"address.limited"}
    assert SOMEBODY not in str(lines)
