"""Who is behind a chain of proxies: never somebody of the client's own choice."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.admission.client_address import MAX_HOPS, TrustedProxies, address_of, client_behind

pytestmark = pytest.mark.unit

TRUSTED = TrustedProxies(["10.0.0.0/8", "2001:db8:7::/48"])
PROXY = ipaddress.ip_address("10.0.0.1")


def behind(*lines: str, header: str = "X-Forwarded-For") -> str:
    return str(client_behind(PROXY, lines, TRUSTED, header=header))


@pytest.mark.parametrize(
    ("lines", "client"),
    [
        ([], "10.0.0.1"),
        ([""], "10.0.0.1"),
        (["192.0.2.1"], "192.0.2.1"),
        (["192.0.2.1, 10.2.2.2"], "192.0.2.1"),
        (["6.6.6.6, 192.0.2.1, 10.2.2.2"], "192.0.2.1"),
        (["6.6.6.6", "192.0.2.1", "10.2.2.2"], "192.0.2.1"),
        (["6.6.6.6,192.0.2.1", "10.2.2.2 ,\t10.3.3.3"], "192.0.2.1"),
        (["10.9.9.9, 10.2.2.2"], "10.9.9.9"),
        (["192.0.2.1:4711"], "192.0.2.1"),
        (["2001:db8::1"], "2001:db8::1"),
        (["[2001:db8::1]"], "2001:db8::1"),
        (["[2001:db8::1]:443"], "2001:db8::1"),
        (["192.0.2.1, 2001:db8:7::5"], "192.0.2.1"),
        (["::ffff:192.0.2.1"], "192.0.2.1"),
        (["192.0.2.1, ::ffff:10.2.2.2"], "192.0.2.1"),
    ],
)
def test_the_client_is_the_first_from_the_right_that_is_no_trusted_proxy(lines: list[str], client: str) -> None:
    assert behind(*lines) == client


@pytest.mark.parametrize(
    "garbage",
    ["unknown", "_hidden", "", "1.2.3", "fe80::1%eth0", "192.0.2.1:99999", "192.0.2.1:x", "[1.2.3.4]", "a" * 99],
)
def test_garbage_ends_the_walk_at_the_last_trusted_proxy(garbage: str) -> None:
    assert behind(f"192.0.2.1, {garbage}, 10.2.2.2") == "10.2.2.2"
    assert behind("192.0.2.1", f"{garbage},") == "10.0.0.1"


def test_a_long_chain_of_trusted_proxies_ends_somewhere() -> None:
    chain = ", ".join(["192.0.2.1", *["10.2.2.2"] * (MAX_HOPS + 5)])
    assert behind(chain) == "10.2.2.2"


@pytest.mark.parametrize(
    ("lines", "client"),
    [
        (["for=192.0.2.1"], "192.0.2.1"),
        (["For=192.0.2.1;proto=https;by=10.0.0.1, for=10.2.2.2"], "192.0.2.1"),
        (["for=6.6.6.6, for=192.0.2.1", "for=10.2.2.2"], "192.0.2.1"),
        (['for="[2001:db8::1]:4711"'], "2001:db8::1"),
        (['for="192.0.2.1:4711" ; host="a, b"'], "192.0.2.1"),
        (["for=192.0.2.1:4711"], "192.0.2.1"),
        (['for="192.0.2\\.1"'], "192.0.2.1"),
        (["for=unknown, for=10.2.2.2"], "10.2.2.2"),
        (["for=_x, for=10.2.2.2"], "10.2.2.2"),
        (["proto=http, for=10.2.2.2"], "10.2.2.2"),
        (["for=192.0.2.1;for=192.0.2.2, for=10.2.2.2"], "10.2.2.2"),
    ],
)
def test_forwarded_is_read_as_its_standard_says(lines: list[str], client: str) -> None:
    assert behind(*lines, header="Forwarded") == client


@pytest.mark.parametrize("left_open", ['for="', 'for=6.6.6.6;x="', 'for="\\', 'for=6.6.6.6;x="\\'])
@pytest.mark.parametrize("appended", ["for=192.0.2.1", 'for="192.0.2.1:99"', 'for="[2001:db8::1]";proto="http"'])
def test_a_quote_that_the_client_leaves_open_does_not_make_him_somebody_else(left_open: str, appended: str) -> None:
    assert behind(f"{left_open}, {appended}", header="forwarded") in {"10.0.0.1", "192.0.2.1", "2001:db8::1"}


@pytest.mark.parametrize(
    "line", ["for", "for=", "=1.2.3.4", "for=1.2.3.4;", "for=1.2.3.4,,", 'for="1.2.3.4"x', "x" * 9_000]
)
def test_a_malformed_line_of_forwarded_says_nothing(line: str) -> None:
    assert behind(line, header="Forwarded") == "10.0.0.1"


@given(st.lists(st.text(alphabet='0123456789.:,;="[]abfor\\ %', max_size=60), max_size=4), st.booleans())
def test_any_lines_give_an_address_and_raise_nothing(lines: list[str], is_forwarded: bool) -> None:
    header = "Forwarded" if is_forwarded else "X-Forwarded-For"
    found = client_behind(PROXY, lines, TRUSTED, header=header)
    assert found.version in (4, 6)


_client = st.ip_addresses().filter(lambda address: address not in TRUSTED and str(address).count("ffff") == 0)
_written = st.text(alphabet='0123456789.:,;="[] unkow', max_size=80)


@given(_written, _client, st.integers(0, 3))
def test_whatever_a_client_writes_he_is_who_the_outermost_proxy_saw(
    written: str, client: ipaddress.IPv4Address, hops: int
) -> None:
    chain = ", ".join([written, str(client), *["10.2.2.2"] * hops])
    assert behind(chain) == str(client)


@given(st.text(max_size=70))
def test_any_text_is_an_address_or_none(text: str) -> None:
    found = address_of(text)
    assert found is None or address_of(str(found)) == found


def test_networks_in_either_writing_of_ipv4_are_the_same() -> None:
    trusted = TrustedProxies(["::ffff:10.0.0.0/104"])
    assert trusted.trusts("10.1.2.3")
    assert trusted.trusts("::ffff:10.1.2.3")
    assert not trusted.trusts("11.1.2.3")
    assert not trusted.trusts("no address")
    assert not TrustedProxies([])
