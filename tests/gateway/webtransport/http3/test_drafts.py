from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.webtransport.http3 import drafts
from gateway.webtransport.interface import Draft

pytestmark = pytest.mark.unit

SERVER = drafts.server_settings(max_sessions=4, max_field_section_bytes=32_768)
CHROMIUM = {0x1: 65_536, 0x6: 16_384, 0x7: 100, 0x33: 1, 0xFFD277: 1, 0x2B603742: 1, 0x5BD9C9A1C: 7}
SAFARI = {0x1: 0, 0x7: 0, 0x8: 1, 0x33: 1, 0xC671706A: 1, 0x14E9CD29: 1}


@pytest.mark.parametrize("draft", Draft)
def test_a_client_of_each_draft_finds_its_own_in_what_the_server_sends(draft: Draft) -> None:
    assert drafts.server_supports(SERVER, draft)


@pytest.mark.parametrize("draft", Draft)
def test_the_draft_that_a_client_offers_alone_is_the_one_that_is_agreed(draft: Draft) -> None:
    settings = drafts.client_settings(draft)
    assert drafts.agreed_draft(settings, protocol="webtransport", headers=drafts.client_headers(draft)) is draft


def test_the_settings_of_real_browsers_are_recognised() -> None:
    assert drafts.agreed_draft(CHROMIUM, protocol="webtransport") is Draft.draft02
    assert drafts.agreed_draft(SAFARI, protocol="webtransport") is Draft.draft13


def test_nothing_is_sent_that_makes_safari_cancel() -> None:
    initial_limits = {0x2B61, 0x2B64, 0x2B65}
    assert not initial_limits & SERVER.keys()
    assert SERVER[drafts.MAX_SESSIONS_13] == 1
    assert drafts.needs_limits(Draft.draft13)


def test_a_client_without_settings_is_taken_at_the_word_of_its_request() -> None:
    assert drafts.agreed_draft({}, protocol="webtransport") is Draft.draft02
    assert drafts.agreed_draft({}, protocol="webtransport-h3") is Draft.draft13
    assert (
        drafts.agreed_draft({}, protocol="webtransport-h3", headers=[("sec-webtransport-http3-draft02", "1")])
        is Draft.draft02
    )


def test_another_protocol_is_no_webtransport() -> None:
    assert drafts.agreed_draft(CHROMIUM, protocol="websocket") is None
    assert drafts.agreed_draft(CHROMIUM, protocol="") is None


def test_a_setting_of_zero_offers_nothing() -> None:
    assert drafts.agreed_draft({drafts.MAX_SESSIONS_13: 0, 0x2B603742: 1}, protocol="webtransport") is Draft.draft02
    assert not drafts.server_supports({**SERVER, drafts.MAX_SESSIONS_07: 0}, Draft.draft07)


@pytest.mark.parametrize("missing", [drafts.H3_DATAGRAM, drafts.ENABLE_CONNECT_PROTOCOL])
def test_a_server_without_what_every_draft_needs_supports_none(missing: int) -> None:
    settings = {setting: value for setting, value in SERVER.items() if setting != missing}
    assert not any(drafts.server_supports(settings, draft) for draft in Draft)


@given(st.integers(0, 0xFFFFFFFF))
def test_an_error_code_of_an_application_comes_back_as_it_was_sent(code: int) -> None:
    wire = drafts.wire_error(code)
    assert 0x52E4A40FA8DB <= wire <= 0x52E5AC983162
    assert (wire - 0x21) % 0x1F != 0
    assert drafts.application_error(wire) == code


@given(st.integers(0, (1 << 62) - 1) | st.integers(0x52E4A40FA800, 0x52E4A40FAFFF))
def test_any_other_code_is_none_of_an_application(wire: int) -> None:
    code = drafts.application_error(wire)
    assert code is None or drafts.wire_error(code) == wire
