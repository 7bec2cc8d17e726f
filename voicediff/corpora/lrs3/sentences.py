"""Sentences for the speakers of mini LRS3: templates and word lists of this project."""

from __future__ import annotations

import re
import zlib

import numpy as np

SPLITS = ("pretrain", "trainval", "test")
_SHARES = (0.7, 0.85, 1.0)  # cumulative shares of all possible sentences by split

_TEMPLATES = (
    "{who} {verb} the {adj} {thing} {place} {when}.",
    "{when} {who} {verb} {number} {adj} {things} {place}.",
    "Why does {person} keep the {adj} {thing} {place}?",
    "My {relative} always {likes} {food} with {food} {when}.",
    "If you {want} the {thing}, ask {person} {when}.",
    "{number} {things} and {number} {things} were left {place}.",
    "Nobody knew that {person} had {done} the {adj} {thing}.",
    "The {adj} {thing} {place} belongs to {person}, not to my {relative}.",
    "Please {want} {number} {things} {place}, {person} will need them.",
    "I {think} the {weather} will be {adj} {when}, so bring {food}.",
)
_WORDS = {
    "who": "Peter|Mary|the farmer|our teacher|a young woman|the old baker|my neighbour|Barbara|"
    "the captain|somebody|his brother|the whole family|Joshua|a quiet boy|the mayor|Veronica",
    "person": "Thomas|Emily|Bob|Fiona|Michael|the painter|Pam|George|Sophie|Victor|Abigail|William",
    "relative": "mother|father|uncle|sister|cousin|grandma|nephew|best friend|aunt|older brother",
    "verb": "moved|bought|painted|opened|wants|forgot|measured|shook|pushed|found|keeps|repaired|"
    "watched|borrowed|chose|photographed|polished|brought|threw|followed",
    "want": "move|buy|paint|open|find|keep|repair|watch|borrow|choose|bring|follow|carry|fetch",
    "done": "moved|bought|painted|opened|lost|forgotten|measured|sold|repaired|hidden|borrowed",
    "likes": "eats|wants|orders|cooks|makes|shares|buys|prepares|imagines|serves",
    "think": "believe|suppose|hope|guess|fear|have heard|assume|am afraid",
    "adj": "blue|heavy|wonderful|broken|yellow|small|famous|awful|purple|smooth|beautiful|loud|"
    "warm|empty|modern|golden|strange|fragile|brown|enormous|peaceful|muddy|cheap|round",
    "thing": "box|window|motorbike|piano|map|umbrella|shovel|telephone|boat|pumpkin|bottle|"
    "photograph|basket|violin|wheel|lamp|ship|book|table|mirror|computer|bridge|wagon|puppet",
    "things": "apples|boxes|horses|pictures|shoes|papers|mushrooms|bottles|flowers|pillows|"
    "wheels|bells|chairs|envelopes|spoons|marbles|balloons|feathers|jackets|oranges",
    "number": "two|three|four|five|six|seven|eight|nine|eleven|twelve|fifteen|forty|fifty|a few|"
    "many|about twenty",
    "food": "bread|cheese|fish|mushroom soup|rice|plums|white beans|butter|honey|potatoes|jam|"
    "warm milk|chocolate|pepper|beef|water",
    "weather": "morning|weather|evening|rain|wind|summer|shore|mountain|party|journey",
    "place": "by the river|under the bridge|in the garden|behind our house|near the harbour|on the "
    "shelf|at the market|above the shop|in front of the museum|beside the fireplace|on the roof|"
    "at the farm|from the basement|outside the village",
    "when": "before breakfast|this morning|on Thursday|every evening|after the show|in February|"
    "next week|at half past five|during the winter|by tomorrow|on the way home|once a month",
}
_CHOICES = {slot: tuple(words.split("|")) for slot, words in _WORDS.items()}


def sentence(split: str, rng: np.random.Generator) -> str:
    """A random sentence of a split; no sentence is in two splits."""
    while True:
        template = _TEMPLATES[rng.integers(len(_TEMPLATES))]
        text = re.sub(r"\{(\w+)\}", lambda slot: _word(slot[1], rng), template)
        text = text[0].upper() + text[1:]
        if split_of(text) == split:
            return text


def split_of(text: str) -> str:
    """The split of a sentence, by a hash of its letters."""
    share = zlib.crc32(text.lower().encode()) / 2**32
    return next(split for split, top in zip(SPLITS, _SHARES, strict=True) if share < top)


def _word(slot: str, rng: np.random.Generator) -> str:
    choices = _CHOICES[slot]
    return choices[rng.integers(len(choices))]
