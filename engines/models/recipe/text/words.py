"""The words of the domain, by the part they play in a sentence; every word the model can meet outside numbers is here."""

from __future__ import annotations

UNITS = tuple(
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen"
    " eighteen nineteen".split()
)
TENS = ("", "", *"twenty thirty forty fifty sixty seventy eighty ninety".split())
ORDINALS = (
    "",
    *(
        "first second third fourth fifth sixth seventh eighth ninth tenth eleventh twelfth thirteenth fourteenth"
        " fifteenth sixteenth seventeenth eighteenth nineteenth twentieth"
    ).split(),
)
LETTERS = tuple("abcdefghijklmnopqrstuvwxyz")

# Slot name in a template -> the phrases it may become, each equally likely.
WORD_CLASSES: dict[str, tuple[str, ...]] = {
    "month": tuple("january february march april may june july august september october november december".split()),
    "day": tuple("monday tuesday wednesday thursday friday saturday sunday".split()),
    "radio_letter": tuple(
        (
            "alpha bravo charlie delta echo foxtrot golf hotel india juliet kilo lima mike november oscar papa quebec"
            " romeo sierra tango uniform victor whiskey yankee zulu"
        ).split()
    ),
    "name": tuple(
        (
            "john mary david sarah michael anna james emma robert linda peter susan tom alice paul maria george laura"
            " daniel kate henry julia sam lucy adam grace"
        ).split()
    ),
    "city": (
        *"london paris berlin boston chicago tokyo sydney dublin madrid rome amsterdam vienna toronto".split(),
        *"singapore seattle denver dallas".split(),
        "new york",
    ),
    "color": tuple("red green blue yellow white black orange purple pink brown gray".split()),
    "room": (*"kitchen bedroom bathroom office garage hallway garden basement".split(), "living room"),
    "device": (
        *"light lights lamp fan heater television radio camera speaker door window alarm thermostat".split(),
        *"printer computer screen".split(),
        "coffee machine",
    ),
    "medium": tuple("music song album playlist podcast video movie news radio book show".split()),
    "suit": tuple("clubs hearts diamonds spades".split()),
    "rank": tuple("ace two three four five six seven eight nine ten jack queen king".split()),
    "noun": tuple(
        (
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
        ).split()
    ),
    "plural": tuple(
        (
            "men women children people friends students workers dogs cats birds cars buses trains roads streets cities"
            " books letters words names numbers questions answers problems ideas plans jobs games songs apples eggs"
            " days weeks months years hours minutes hands eyes keys bags boxes bottles cups tickets maps machines tools"
            " lines parts places points groups meetings reports orders messages emails files things"
        ).split()
    ),
    "verb": tuple(
        (
            "see find take make get give want need like love know use help call ask tell show bring buy sell open close"
            " read write send keep leave hold start stop move change watch hear follow pay carry build draw break catch"
            " cut drop eat drink cook clean wash fill check test save win lose meet visit remember forget learn teach"
            " understand believe"
        ).split()
    ),
    "past_verb": tuple(
        (
            "saw found took made got gave wanted needed liked loved knew used helped called asked told showed brought"
            " bought sold opened closed read wrote sent kept left held started stopped moved changed watched heard"
            " followed paid carried built broke caught cut dropped ate cooked cleaned filled checked tested saved won"
            " lost met visited remembered forgot learned"
        ).split()
    ),
    "motion_verb": tuple(
        (
            "go come run walk sit stand sleep wait work play talk speak live stay fly drive swim sing dance travel"
            " listen think smile laugh rest fall grow turn return arrive begin"
        ).split()
    ),
    "past_motion_verb": tuple(
        (
            "went came ran walked sat stood slept waited worked played talked spoke lived stayed flew drove sang danced"
            " travelled listened thought smiled laughed rested fell grew turned returned arrived began"
        ).split()
    ),
    "adjective": tuple(
        (
            "good bad big small large little long short high low old new young early late hot cold warm cool fast slow"
            " hard easy soft strong weak rich poor happy sad angry tired hungry sick busy free full empty clean dirty"
            " dry wet dark bright clear quiet loud safe dangerous cheap expensive important different same real true"
            " right wrong great nice fine beautiful strange simple special public open ready sure possible next last"
        ).split()
    ),
    "adverb": tuple(
        (
            "now then here there today tomorrow yesterday tonight soon later again always never often sometimes usually"
            " already still just only really very quickly slowly well together alone outside inside away back home"
            " early late almost maybe"
        ).split()
    ),
    "preposition": tuple(
        (
            "in on at by with without for from to into under over near behind between before after around through"
            " across against about"
        ).split()
    ),
    "determiner": tuple("the a this that my your his her our their some every another each".split()),
    "plural_determiner": tuple("the these those my your his her our their some many few all most other".split()),
    "subject": tuple("i you he she we they it".split()),
}

# Words that templates use in fixed places, or that a list of random words should still cover.
FUNCTION_WORDS = tuple(
    (
        "and or but because if when while so than as not no yes please thank thanks hello goodbye hi okay sorry excuse"
        " me us them him mine who what where why how which whose is are was were be been am do does did have has had"
        " will would can could should may might must there here more less much any nothing something everything"
        " someone everyone up down off out too also even both"
    ).split()
)
COMMAND_WORDS = tuple(
    (
        "hundred thousand million thirtieth half quarter past degrees percent meters miles kilometers temperature"
        " transfer account dollars euros pounds cents balance savings password schedule cancel appointment navigate"
        " forward backward left right rotate volume timer tomorrow yesterday"
    ).split()
)


def all_words() -> tuple[str, ...]:
    """Every single word that a list of random words may hold, sorted; "a" is left out, it is too short to hear alone."""
    words = {*UNITS, *TENS, *ORDINALS, *FUNCTION_WORDS, *COMMAND_WORDS}
    for phrases in WORD_CLASSES.values():
        words.update(word for phrase in phrases for word in phrase.split())
    return tuple(sorted(words - {"", "a"}))
