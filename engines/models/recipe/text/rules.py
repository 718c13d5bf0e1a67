"""The rules of the domain as data: what kinds of sentence there are, how often, and from which templates.

A letter after "~" is spelled ("~a" is the letter a, not the article).
"""

from __future__ import annotations

KINDS: tuple[tuple[float, str], ...] = (
    (36.0, "{command}"),
    (22.0, "{free_sentence}"),
    (9.0, "{random_words 2 8}"),
    (9.0, "{digits 1 9}"),
    (5.0, "{any_number}"),
    (4.0, "{letters 1 7}"),
    (3.0, "{date}"),
    (3.0, "{clock}"),
    (3.0, "{money}"),
    (2.5, "[{card}|{card} {card}|{card} {card} {card}]"),
    (1.5, "{radio_letters 1 5}"),
    (1.0, "{name} and {name}"),
    (1.0, "{city} {color}"),
)

_NUMBERS_AND_TIMES: dict[str, tuple[tuple[float, str], ...]] = {
    "any_number": (
        (25, "{number 0 20}"),
        (30, "{number 1 99}"),
        (20, "{number 100 999}"),
        (10, "{hundreds}"),
        (10, "{number 1000 99999}"),
        (3, "{round_number}"),
        (2, "{number 100000 9999999}"),
    ),
    "year": (
        (40, "two thousand [|and ]{number 1 30}"),
        (30, "twenty {number 10 30}"),
        (30, "nineteen {number 10 99}"),
    ),
    "day_in_year": (
        (50, "{month} {day_of_month}"),
        (25, "{month} the {day_of_month}"),
        (25, "the {day_of_month} of {month}"),
    ),
    "maybe_year": ((30, " {year}"), (70, "")),
    "maybe_weekday": ((25, "{day} "), (75, "")),
    "date": ((1, "{maybe_weekday}{day_in_year}{maybe_year}"),),
    "hour": ((1, "{number 1 12}"),),
    "few_minutes": ((1, "[[five|ten|twenty|twenty five]|[five|ten]]"),),
    "half_of_day": (
        (30, "[ ~a ~m| ~p ~m| in the morning| in the evening| in the afternoon| tonight]"),
        (70, ""),
    ),
    "clock": (
        (20, "{hour} o'clock{half_of_day}"),
        (35, "{hour} {minute}{half_of_day}"),
        (10, "half past {hour}{half_of_day}"),
        (10, "quarter [past|to] {hour}{half_of_day}"),
        (5, "{few_minutes} [past|to] {hour}{half_of_day}"),
        (20, "{hour} [~a|~p] ~m"),
    ),
    "duration": (
        (1, "{number 2 60} [minutes|seconds|hours|days|weeks]"),
        (1, "one [minute|hour|second|day|week|month|year]"),
        (1, "half an hour"),
        (1, "an hour and a half"),
    ),
    "amount": ((1, "[{number 2 99}|{hundreds}|{number 2 2000}|{any_number}]"),),
    "maybe_cents": ((25, " and {number 1 99}[ cents|]"), (75, "")),
    "money": (
        (15, "{number 2 99} cents"),
        (5, "one [dollar|euro|pound]"),
        (80, "{amount} [dollars|dollars|dollars|euros|pounds]{maybe_cents}"),
    ),
    "account": ((1, "[account|account number|my account|savings account|card ending in] {digits 2 6}"),),
    "card": ((75, "{rank} of {suit}"), (25, "{rank}")),
    "room_or_none": ((9, "{room}"), (1, "")),
}

_PLAIN_ENGLISH: dict[str, tuple[tuple[float, str], ...]] = {
    "plural_phrase": ((30, "{plural_determiner} {adjective} {plural}"), (70, "{plural_determiner} {plural}")),
    "counted_phrase": ((1, "[{number 2 20}|{any_number}] {plural}"),),
    "single_phrase": (
        (45, "{determined_described_noun}"),
        (55, "{determined_noun}"),
    ),
    "noun_phrase": ((30, "{plural_phrase}"), (10, "{counted_phrase}"), (60, "{single_phrase}")),
    "prepositional_phrase": ((1, "{preposition} {noun_phrase}"),),
    "who": ((45, "{subject}"), (55, "{noun_phrase}")),
    "predicate": (
        (35, "{past_verb} {noun_phrase}"),
        (
            20,
            "[will|can|could|should|must|would|may|might|did not|do not|will not|cannot] {verb} {noun_phrase}",
        ),
        (15, "{past_motion_verb}"),
        (10, "[will|can|should|must] {motion_verb}"),
        (20, "[is|are|was|were|has been|will be] [very |not |too |so |]{adjective}"),
    ),
    "maybe_where": ((35, " {prepositional_phrase}"), (65, "")),
    "maybe_how": ((25, " {adverb}"), (75, "")),
    "statement": ((1, "{who} {predicate}{maybe_where}{maybe_how}"),),
    "free_sentence": (
        (30, "{statement}"),
        (15, "{statement} [and|but|because|when|while|so|if|before|after] {statement}"),
        (
            15,
            "[do|did|can|could|will|would|should|have|where do|where did|why did|how do|when will|who did|what did]"
            " {subject} {verb} {noun_phrase}",
        ),
        (10, "[who|what|where|why|how|which {noun}|whose {noun}] [is|was|are|were] {noun_phrase}"),
        (
            10,
            "[there is|there are|there was|here is|here are|this is|that was|these are|those were]"
            " {noun_phrase}[| {prepositional_phrase}]",
        ),
        (10, "the {noun} of the {noun} is [more|less|as] {adjective} than {noun_phrase}"),
        (10, "{verb} {noun_phrase} {prepositional_phrase}"),
    ),
}

_COMMANDS: tuple[str, ...] = (
    # the house
    "[turn|switch] [on|off] the {room_or_none} {device}[| please| now]",
    "[please|] set [a|the] [timer|alarm] for [{duration}|{clock}]",
    "wake me up at {clock}[| tomorrow| on {day}]",
    "set the [temperature|thermostat|heater] to {number 10 90} degrees",
    "set the volume to [{number 0 11}|{number 5 100} percent]",
    "[turn|volume] [up|down][| the volume| the music| the heat]",
    "play [some|the|my|] [|{adjective}] {medium}[| by {name}| in the {room}]",
    "[pause|stop|resume|skip|repeat|start] the {medium}",
    "[next|previous] [song|track|page|message|station]",
    "[open|close|lock|unlock] the [|front|back|garage|main] [door|window|gate|file|box]",
    "change the color to {color}",
    "make the {room} lights {color}",
    # telephone, post, calendar
    "call {name}[| on the phone| at {digits 7 8}| at home| at work]",
    "dial {digits 3 10}",
    "send a [message|text|letter|email] to {name}[| saying {statement}]",
    "remind me to {verb} {noun_phrase} [at {clock}|on {date}|tomorrow|in {duration}]",
    "schedule a meeting [with {name}|] [on {date}|at {clock}|on {day} at {clock}]",
    "cancel my [meeting|order|alarm|timer|appointment|flight] [on {day}|at {clock}|tomorrow|]",
    "[add|remove] {noun}[| and {noun}] [to|from] my [shopping|work|reading] list",
    # questions
    "what [is|will be|was] the [weather|temperature] [in {city}|today|tomorrow|on {day}|like today]",
    "[what time is it|what is the time|what day is it|what is the date][| today| now| in {city}]",
    "will it [rain|snow] [today|tomorrow|tonight|on {day}]",
    "how much is {number 1 100} [plus|minus|times|divided by] {number 1 100}",
    "{number 0 100} [plus|minus|times] {number 0 100} equals {any_number}",
    "how [far|long|much|many|old] is [it|the {noun}]",
    "show me [the|my|all|some] {plural}[| from {day}| in {city}]",
    # the bank
    "transfer {money} to {account}",
    "[send|pay|give|deposit|withdraw] {money} [to {name}|to {account}|from {account}|into {account}]",
    "what is the balance of {account}",
    "my [phone number|pin code|account number|order number|room number|password|code] is {digits 3 9}",
    "the [code|number|answer|total|price] is [{any_number}|{digits 3 6}|{letters 2 4} {digits 2 4}]",
    "it costs {money}",
    "the total is {money}",
    # travel and motion
    "[book|reserve|order] [a table|a room|a ticket|two tickets|a taxi]"
    " for [{number 2 12} people|{clock}|{date}|{name}]",
    "i [want|need|would like] [a flight|a train|a ticket|to go|to travel|to fly] from {city} to {city}"
    "[| on {date}| at {clock}]",
    "navigate to [{city}|{number 1 999} [main|park|church|river|high|lake] street]",
    "turn [left|right] [in {any_number} meters|at the next [street|corner|light]|now|after the [bridge|church|school]]",
    "go [forward|backward|left|right|straight|up|down] [{number 1 100}|one|ten] [meters|steps|feet|miles|kilometers]",
    "rotate [left|right] {number 1 360} degrees",
    # the person and the dialogue
    "my name is {name}[| spelled {letters 3 6}]",
    "i live at {number 1 999} [main|park|church|river|high] street {city}",
    "[yes|no|okay|sure|stop|cancel|help|repeat|continue|go back|start over|thank you|hello|goodbye|good morning"
    "|good night|yes please|no thanks|try again|louder|quieter|never mind|that is right|that is wrong"
    "|i do not understand|speak to an agent|talk to a person|main menu|customer service]",
)

RULES: dict[str, tuple[tuple[float, str], ...]] = {
    **_NUMBERS_AND_TIMES,
    **_PLAIN_ENGLISH,
    "command": tuple((1, template) for template in _COMMANDS),
}
