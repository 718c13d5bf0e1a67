"""The words of the domain, by the part they play in a sentence."""

from __future__ import annotations


def listed(words: str) -> tuple[str, ...]:
    """Words written with spaces between them, so that a list of two hundred stays readable."""
    return tuple(words.split())


UNITS = listed(
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen"
    " eighteen nineteen"
)
TENS = ("", "", *listed("twenty thirty forty fifty sixty seventy eighty ninety"))
ORDINALS = (
    "",
    *listed(
        "first second third fourth fifth sixth seventh eighth ninth tenth eleventh twelfth thirteenth fourteenth"
        " fifteenth sixteenth seventeenth eighteenth nineteenth twentieth"
    ),
)
LETTERS = tuple("abcdefghijklmnopqrstuvwxyz")

# Slot name in a template -> the phrases it may become, each equally likely.
WORD_CLASSES: dict[str, tuple[str, ...]] = {
    "month": listed("january february march april may june july august september october november december"),
    "day": listed("monday tuesday wednesday thursday friday saturday sunday"),
    "radio_letter": listed(
        "alpha bravo charlie delta echo foxtrot golf hotel india juliet kilo lima mike november oscar papa quebec"
        " romeo sierra tango uniform victor whiskey yankee zulu"
    ),
    "name": listed(
        "john mary david sarah michael anna james emma robert linda peter susan tom alice paul maria george laura"
        " daniel kate henry julia sam lucy adam grace"
    ),
    "city": (
        *listed("london paris berlin boston chicago tokyo sydney dublin madrid rome amsterdam vienna toronto"),
        *listed("singapore seattle denver dallas"),
        "new york",
    ),
    "color": listed("red green blue yellow white black orange purple pink brown gray"),
    "room": (*listed("kitchen bedroom bathroom office garage hallway garden basement"), "living room"),
    "device": (
        *listed("light lights lamp fan heater television radio camera speaker door window alarm thermostat"),
        *listed("printer computer screen"),
        "coffee machine",
    ),
    "medium": listed("music song album playlist podcast video movie news radio book show"),
    "suit": listed("clubs hearts diamonds spades"),
    "rank": listed("ace two three four five six seven eight nine ten jack queen king"),
    "noun": listed(
        "man woman child boy girl friend family mother father brother sister son daughter doctor teacher student"
        " driver worker manager customer dog cat bird horse fish house home car bus train plane boat road street"
        " city town country school hospital store bank hotel office restaurant church park river mountain lake sea"
        " tree flower garden table chair bed room floor wall door window kitchen book letter paper pen phone"
        " computer picture story word name number question answer problem idea plan job work money price market"
        " company team game ball music song movie news water food bread milk coffee tea apple egg meat fruit sugar"
        " salt morning afternoon evening night day week month year hour minute time weather rain snow wind sun moon"
        " star sky light fire air earth world life body head hand face eye heart foot arm voice key bag box bottle"
        " cup glass shirt shoe hat ticket passport map camera machine tool power line side part place point end"
        " group party meeting report project system program account order service message email file"
    ),
    "plural": listed(
        "men women children people friends students workers dogs cats birds cars buses trains roads streets cities"
        " books letters words names numbers questions answers problems ideas plans jobs games songs apples eggs"
        " days weeks months years hours minutes hands eyes keys bags boxes bottles cups tickets maps machines tools"
        " lines parts places points groups meetings reports orders messages emails files things"
    ),
    "verb": listed(
        "see find take make get give want need like love know use help call ask tell show bring buy sell open close"
        " read write send keep leave hold start stop move change watch hear follow pay carry build draw break catch"
        " cut drop eat drink cook clean wash fill check test save win lose meet visit remember forget learn teach"
        " understand believe"
    ),
    "past_verb": listed(
        "saw found took made got gave wanted needed liked loved knew used helped called asked told showed brought"
        " bought sold opened closed read wrote sent kept left held started stopped moved changed watched heard"
        " followed paid carried built broke caught cut dropped ate cooked cleaned filled checked tested saved won"
        " lost met visited remembered forgot learned"
    ),
    "motion_verb": listed(
        "go come run walk sit stand sleep wait work play talk speak live stay fly drive swim sing dance travel"
        " listen think smile laugh rest fall grow turn return arrive begin"
    ),
    "past_motion_verb": listed(
        "went came ran walked sat stood slept waited worked played talked spoke lived stayed flew drove sang danced"
        " travelled listened thought smiled laughed rested fell grew turned returned arrived began"
    ),
    "adjective": listed(
        "good bad big small large little long short high low old new young early late hot cold warm cool fast slow"
        " hard easy soft strong weak rich poor happy sad angry tired hungry sick busy free full empty clean dirty"
        " dry wet dark bright clear quiet loud safe dangerous cheap expensive important different same real true"
        " right wrong great nice fine beautiful strange simple special public open ready sure possible next last"
    ),
    "adverb": listed(
        "now then here there today tomorrow yesterday tonight soon later again always never often sometimes usually"
        " already still just only really very quickly slowly well together alone outside inside away back home"
        " early late almost maybe"
    ),
    "preposition": listed(
        "in on at by with without for from to into under over near behind between before after around through"
        " across against about"
    ),
    "determiner": listed("the a this that my your his her our their some every another each"),
    "plural_determiner": listed("the these those my your his her our their some many few all most other"),
    "subject": listed("i you he she we they it"),
}

# Words that templates use in fixed places, or that a list of random words should still cover.
FUNCTION_WORDS = listed(
    "and or but because if when while so than as not no yes please thank thanks hello goodbye hi okay sorry excuse"
    " me us them him mine who what where why how which whose is are was were be been am do does did have has had"
    " will would can could should may might must there here more less much any nothing something everything"
    " someone everyone up down off out too also even both"
)
COMMAND_WORDS = listed(
    "hundred thousand million thirtieth half quarter past degrees percent meters miles kilometers temperature"
    " transfer account dollars euros pounds cents balance savings password schedule cancel appointment navigate"
    " forward backward left right rotate volume timer tomorrow yesterday"
)


def all_words() -> tuple[str, ...]:
    """Every single word that a list of random words may hold, sorted; "a" is too short to hear alone."""
    words = {*UNITS, *TENS, *ORDINALS, *FUNCTION_WORDS, *COMMAND_WORDS}
    for phrases in WORD_CLASSES.values():
        words.update(word for phrase in phrases for word in phrase.split())
    return tuple(sorted(words - {"", "a"}))
