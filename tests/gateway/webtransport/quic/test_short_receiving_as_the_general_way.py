"""The short way hears, keeps and refuses what the general one does, packet for packet."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

import pytest

from gateway import dev_certificates
from gateway.webtransport.quic.short_packets import ShortPacketConnection
from tests.harness.quic_pair import pair
from tests.harness.quic_twins import Twins, frames, state
from tests.harness.raw_quic import quic_rules

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.unit

_SEEDS, _LONG_SEEDS, _PACKETS = 25, 1_000, 120
_LEAST_PACKETS_A_SEED = 30


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dev_certificates.DevCertificate:
    return dev_certificates.make(tmp_path_factory.mktemp("certificate"))


def acknowledgement(end: Any) -> bytes:
    """Of all that this one has sent."""
    last = (end._packet_number - 1 | 0x80000000).to_bytes(4, "big")
    return b"\x02" + last + b"\x0a\x00" + last


def compared(files: dev_certificates.DevCertificate, seed: int) -> int:
    """How many packets both took, until the client broke a rule."""
    dice = random.Random(seed)
    rules = quic_rules(stream_window_bytes=4_000, connection_window_bytes=9_000)
    two = pair(files, kind=ShortPacketConnection, rules=rules)
    two.run()
    twins = Twins(two)
    offsets: dict[int, int] = {}
    live = [0, 4, 2, 6]
    late: list[tuple[bytes, bytes]] = []
    for step in range(_PACKETS):
        twins.now += dice.choice((0, 0.001, 0.01, 0.03))
        if dice.random() < 0.02:
            twins.update_keys()
        twins.number += dice.choice((1, 60)) if dice.random() < 0.03 else 0
        said = frames(dice, offsets, live)
        made: Callable[[Any], bytes] = acknowledgement if dice.random() < 0.15 else lambda _end, said=said: said
        packets = twins.sealed(made)
        copies = [packets] * (2 if dice.random() < 0.1 else 1)
        if dice.random() < 0.1:
            late.append(packets)
            copies = []
        elif late and dice.random() < 0.3:
            copies.append(late.pop(dice.randrange(len(late))))
        address = twins.address if dice.random() > 0.02 else ("192.0.2.77", dice.randrange(1, 4))
        for each in copies:
            twins.give(each, address)
        if dice.random() < 0.6:
            twins.speak()
        assert len({repr(told) for told in twins.heard()}) == 1, f"seed {seed}, step {step}"
        if state(twins.short) != state(twins.general):
            twins.settle()
        assert state(twins.short) == state(twins.general), f"seed {seed}, step {step}"
        if twins.short._close_event is not None:
            return step
    return _PACKETS


def test_the_same_packets_have_the_same_effect(files: dev_certificates.DevCertificate, is_long: bool) -> None:
    seeds = _LONG_SEEDS if is_long else _SEEDS
    assert sum(compared(files, seed) for seed in range(seeds)) > seeds * _LEAST_PACKETS_A_SEED
