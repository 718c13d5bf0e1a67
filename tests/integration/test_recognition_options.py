"""What a client wishes of recognition, through a whole region: keywords, decoding, numerals, redaction."""

from __future__ import annotations

import asyncio
import os
import signal
from typing import TYPE_CHECKING

import pytest

from gateway.wire.messages import KeywordSpec, Start, TextSpec
from tests.harness.caller import calling, transcribe
from tests.harness.engine import engine_in_use
from tests.harness.recordings import pcm_of, pieces_of, transcripts
from tests.harness.waiting import until

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.harness.caller import Caller
    from tests.harness.region import Region

pytestmark = pytest.mark.integration

PROTOCOLS = ["ws", "grpc"]
LETTER, TRANSFER = "letter_slt.wav", "transfer_rms.wav"


async def heard(region: Region, name: str, start: Start, protocol: str = "ws") -> Caller:
    return await transcribe(region, pieces_of(pcm_of(name)), start=start, protocol=protocol)


@pytest.mark.parametrize("protocol", PROTOCOLS)
async def test_a_keyword_is_heard_where_the_model_alone_mishears(region: Region, protocol: str) -> None:
    plain = await heard(region, LETTER, Start(), protocol)
    wished = await heard(region, LETTER, Start(keywords=(KeywordSpec("found a letter"),)), protocol)
    assert plain.text != transcripts()[LETTER]
    assert wished.text == transcripts()[LETTER]


@pytest.mark.parametrize("protocol", PROTOCOLS)
async def test_a_keyword_with_a_negative_boost_is_not_heard(region: Region, protocol: str) -> None:
    assert "letter" in (await heard(region, LETTER, Start(), protocol)).words
    shunned = await heard(region, LETTER, Start(keywords=(KeywordSpec("letter", -10_000),)), protocol)
    assert "letter" not in shunned.words


@pytest.mark.parametrize("protocol", PROTOCOLS)
async def test_a_keyword_that_the_model_cannot_spell_is_refused_in_the_engine_s_words(
    region: Region, protocol: str
) -> None:
    wish = Start(keywords=(KeywordSpec("letter"), KeywordSpec("Łódź")))
    caller = await heard(region, LETTER, wish, protocol)
    assert caller.error is not None
    assert caller.error.reason == "bad_option"
    assert "Łódź" in caller.error.message
    assert not caller.error.retryable


@pytest.mark.parametrize("protocol", PROTOCOLS)
async def test_a_search_keeps_its_promise_of_stable_words(region: Region, protocol: str) -> None:
    caller = await heard(region, TRANSFER, Start(decoding="beam"), protocol)
    (final,) = caller.finals
    assert final.text == transcripts()[TRANSFER]
    assert caller.partials
    assert all(final.text.startswith(partial.text[: partial.stable_chars]) for partial in caller.partials)


async def test_what_was_wished_holds_for_a_replay_too(new_region: Callable[..., Region]) -> None:
    region = new_region("--engines", "2")
    wish = Start(keywords=(KeywordSpec("found a letter"),), text=TextSpec(numerals=True))
    pieces = pieces_of(pcm_of(LETTER))
    undisturbed = (await transcribe(region, pieces, start=wish)).finals
    async with calling(region) as caller:
        await caller.start(wish)
        await caller.until_started()
        speaking = asyncio.create_task(caller.say_all(pieces, speed=2.0))
        await until(lambda: bool(caller.partials))
        os.kill(await engine_in_use(region), signal.SIGKILL)
        await speaking
        await caller.finish()
        await caller.until_over()
    assert caller.migrations
    assert caller.finals == undisturbed


@pytest.mark.parametrize("protocol", PROTOCOLS)
async def test_numbers_are_written_in_digits(region: Region, protocol: str) -> None:
    caller = await heard(region, TRANSFER, Start(text=TextSpec(numerals=True)), protocol)
    assert caller.text == "transfer $200 to account 471"


@pytest.mark.parametrize("protocol", PROTOCOLS)
async def test_no_message_shows_a_number_that_is_to_be_hidden(region: Region, protocol: str) -> None:
    caller = await heard(region, "digits_rms.wav", Start(text=TextSpec(redact=("phone_number",))), protocol)
    assert caller.is_finished
    assert caller.text == "[phone_number]"
    said = {word for partial in caller.partials for word in partial.text.split()}
    assert said.isdisjoint(transcripts()["digits_rms.wav"].split())
