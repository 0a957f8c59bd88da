"""Makes characters visible that nobody sees, or that look like others. Pure.

An agent, a repository or a machine chooses these texts, and a person decides by what they see.
``exact`` is for what a machine will take literally: a command, a path, a host, a name.
``readable`` is for words in any language: a title, a question, a notice. Both leave alone what
people write: emoji that are joined, Persian and Indic joiners, flags, variants of Han signs.

``mesh/static/mesh/dom.js`` does the same on the page. Its table is this one: a test compares them.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Mapping
from typing import Final

# Ranges of code points, in hexadecimal.
TABLE: Final[Mapping[str, str]] = {
    "controls": "0-8 B-1F 7F-9F",
    "hidden": "AD 34F 115F-1160 1680 17B4-17B5 180E 200B 2028-2029 2060-2065 206A-206F 2800 3164"
    " D800-DFFF FEFF FFA0 FFF0-FFFB 1BCA0-1BCA3 1D173-1D17A E0000-E00FF E01F0-E0FFF",
    "joiners": "200C-200D",
    "directions": "61C 200E-200F",
    "turns": "202A-202E 2066-2069",
    "variants": "180B-180D 180F FE00-FE0F E0100-E01EF",
    "spaces": "A0 2000-200A 202F 205F 3000",
    "pictures": "A9 AE 203C 2049 2122 2139 2194-2199 21A9-21AA 231A-231B 2328 23CF 23E9-23F3"
    " 23F8-23FA 24C2 25AA-25AB 25B6 25C0 25FB-25FE 2600-27BF 2934-2935 2B05-2B07 2B1B-2B1C 2B50"
    " 2B55 3030 303D 3297 3299 1F000-1FAFF",
    "han": "2E80-2FDF 3005-3007 3021-3029 3038-303B 3400-4DBF 4E00-9FFF F900-FAFF 20000-323AF",
    "kana": "3001-303F 3041-30FF AC00-D7A3 FF01-FF9F",
    "mongolian": "1820-18AA",
    "joining": "610-61A 620-65F 66E-6D3 6D5-6DC 6DF-6E8 6EA-6EF 6FA-6FF 710-74A 74D-7B1 7CA-7F5"
    " 840-85B 860-8E1 8E3-8FF 1820-18AA FB50-FDFB FE70-FEFC 1E900-1E94B",
    "indic": "900-DFF 1000-109F 1A20-1AAF 1B00-1B7F A880-A8DF A980-A9DF 11000-1167F",
    "unspaced": "E01-EFF 1000-109F 1780-17DD",
    "backwards": "590-8FF FB1D-FDFF FE70-FEFC 10800-10FFF 1E800-1EFFF",
    # Letters and digits of scripts whose letters look like those of ASCII; letters of formulas.
    "letters": "30-39 41-5A 61-7A C0-D6 D8-F6 F8-24F 250-2AF 300-36F 370-373 376-377 37B-37D 37F"
    " 386 388-3FF 400-52F 531-556 561-587 1E00-1FFF 2160-217F 1D400-1D7FF",
    "latin": "41-5A 61-7A C0-D6 D8-F6 F8-24F 1E00-1EFF",
    "formulas": "1D400-1D7FF",
    # Written alone too: a letter of mathematics, a number of a chapter.
    "symbols": "3B1-3C9 2160-217F",
}
# A letter that looks like one of ASCII, and that one.
ALIKE: Final = (
    "аa еe оo рp сc уy хx ѕs іi јj һh ԁd ԛq ԝw ӏl ѵv гr АA ВB ЕE ЅS ІI ЈJ КK МM НH ОO РP СC ТT УY"
    " ХX ԌG ԜW αa ιi κk νv οo ρp υu χx ϲc ϳj ΑA ΒB ΕE ΖZ ΗH ΙI ΚK ΜM ΝN ΟO ΡP ΤT ΥY ΧX ͿJ օo սu"
    " ոn հh ցg զq ՏS ՕO ɑa ɡg ⅰi ⅴv ⅹx ⅼl ⅽc ⅾd ⅿm ⅠI ⅤV ⅩX ⅬL ⅭC ⅮD ⅯM"
)
# A sign that looks like one of ASCII, and that one.
ALIKE_SIGNS: Final = (
    "\u037e; \u0589: \u05c3: \u01c3! \u2010- \u2011- \u2012- \u2212- \u2024. \u2044/ \u2215/"
    " \u2216\\ \u2223| \u2236: \u29f8/ \u29f5\\ \ua789: \uff0f/ \uff0e. \uff5c| \u02d7-"
)


def _class(*names: str) -> str:
    """Return what stands between the brackets of a character class."""
    ranges = " ".join(TABLE[name] for name in names).split()
    return "".join(
        "-".join(f"\\U{int(end, 16):08x}" for end in found.split("-")) for found in ranges
    )


_PICTURE: Final = f"[{_class('pictures')}][\ufe0e\ufe0f]?[\U0001f3fb-\U0001f3ff]?"
_ENGLAND, _SCOTLAND, _WALES = (
    "\U0001f3f4" + "".join(chr(0xE0000 + ord(letter)) for letter in code) + "\U000e007f"
    for code in ("gbeng", "gbsct", "gbwls")
)
# Sequences in which a character that is marked elsewhere belongs to what people write.
_PROPER: Final = "|".join(
    (
        f"{_ENGLAND}|{_SCOTLAND}|{_WALES}",
        f"{_PICTURE}(?:\u200d{_PICTURE})*",
        "[0-9#*]\ufe0f\u20e3",
        f"[{_class('han')}][\ufe00-\ufe02\U000e0100-\U000e01ef]",
        f"[{_class('mongolian')}](?:[\u180b-\u180d\u180f]|\u180e(?=[{_class('mongolian')}]))",
        f"[{_class('joining')}](?:\u200d|\u200c(?=[{_class('joining')}]))",
        f"[{_class('indic')}][\u200c\u200d]",
    )
)
_ODD: Final = ("controls", "hidden", "joiners", "turns", "variants")
_UNSPACED: Final = f"[{_class('unspaced')}]\u200b(?=[{_class('unspaced')}])"

# Also indents a paragraph.
_WIDE: Final = f"(?<=[{_class('han', 'kana')}])\u3000+|\u3000+(?=[{_class('han', 'kana')}])"
_IS_ALIKE: Final = {pair[0]: pair[1] for pair in (*ALIKE.split(), *ALIKE_SIGNS.split())}
_LETTERS_ALIKE: Final = frozenset(pair[0] for pair in ALIKE.split())
_SIGNS_ALIKE: Final = "".join(re.escape(pair[0]) for pair in ALIKE_SIGNS.split())

_READABLE: Final = re.compile(f"{_PROPER}|{_UNSPACED}|([{_class(*_ODD, 'directions')}])")
_READABLE_BACKWARDS: Final = re.compile(f"{_PROPER}|{_UNSPACED}|([{_class(*_ODD)}])")
_SEEN_AS_OTHER: Final = f"[{''.join(_LETTERS_ALIKE)}{_class('formulas')}{_SIGNS_ALIKE}]"
# First a mark that is there already: what is marked twice looks as if marked once.
_EXACT: Final = re.compile(
    rf"⟨{_SEEN_AS_OTHER} U\+[0-9A-F]{{4,6}}⟩|{_PROPER}|{_WIDE}"
    f"|([{_class(*_ODD, 'directions', 'spaces')}])|({_SEEN_AS_OTHER})"
)
_BACKWARDS: Final = re.compile(f"[{_class('backwards')}]")
_WORD: Final = re.compile(f"[{_class('letters')}]+")
_LATIN: Final = re.compile(f"[{_class('latin')}]")
_FORMULA: Final = re.compile(f"[{_class('formulas')}]")
_SYMBOL: Final = re.compile(f"[{_class('symbols')}]")
_NEUTRAL: Final = re.compile("[0-9\u0300-\u036f]")
_BETWEEN: Final = re.compile("[ ,]+")

# White space that would push what follows out of sight.
_GAP: Final = re.compile(f"[ \t{_class('spaces')}]{{100,}}")
_EMPTY_LINES: Final = re.compile(r"(?:[ \t]*\n){30,}")

# A mark in what ``exact`` and ``readable`` return.
MARK: Final = re.compile(r"⟨(?:. )?U\+([0-9A-F]{4,6})⟩")


def readable(text: str) -> str:
    """Return words with each invisible character, and each that turns text around, as its code
    point.

    A direction mark is left in a text that runs from right to left.
    """
    pattern = _READABLE_BACKWARDS if _BACKWARDS.search(text) else _READABLE
    return pattern.sub(lambda found: _code(found[1]) if found[1] else found[0], _shorter(text))


def exact(text: str) -> str:
    """Return a command, path, host or name as ``readable`` does, with odd spaces marked as well,
    and letters and signs that look like those of ASCII.
    """
    text = _shorter(text)
    disguised = _disguised(text)

    def shown(found: re.Match[str]) -> str:
        if found[1]:
            return _code(found[1])
        is_odd = found[2] and (found[2] not in _LETTERS_ALIKE or found.start() in disguised)
        return f"⟨{found[2]} {_code(found[2])[1:]}" if is_odd else found[0]

    return _EXACT.sub(shown, text)


def exact_text(text: str) -> str:
    """As ``exact``, for where no element can keep a text from turning what surrounds it."""
    return _isolated(exact(text), "\u2066")


def readable_text(text: str) -> str:
    """As ``readable``, for where no element can keep a text from turning what surrounds it."""
    return _isolated(readable(text), "\u2068")


def _isolated(text: str, begin: str) -> str:
    return f"{begin}{text}\u2069" if _BACKWARDS.search(text) else text


def meaning_of(code: str) -> str:
    """Return what a marked character does, for a person, by its code point in hexadecimal."""
    character = chr(min(int(code, 16), 0x10FFFF))
    if character in _IS_ALIKE:
        return f"looks like “{_IS_ALIKE[character]}”, and is another character"
    for names, meaning in _MEANINGS:
        if re.fullmatch(f"[{_class(*names)}]", character):
            return meaning
    return "can’t be seen"


_MEANINGS: Final = (
    (("turns",), "changes the direction of the text that follows"),
    (("directions",), "an invisible mark of direction"),
    (("controls",), "a control character"),
    (("spaces",), "a space of another kind"),
    (("formulas",), "a letter made for formulas"),
)


def _code(character: str) -> str:
    return f"⟨U+{ord(character):04X}⟩"


def _shorter(text: str) -> str:
    """Return ``text`` with very long white space replaced by its length."""
    text = _GAP.sub(lambda gap: f" ⟨{len(gap[0])} spaces⟩ ", text)
    return _EMPTY_LINES.sub(lambda gap: f"\n⟨{gap[0].count(chr(10)) - 1} empty lines⟩\n", text)


def _disguised(text: str) -> set[int]:
    """Return where letters of another script stand for those of ASCII.

    In a word with Latin letters all that look like ASCII do. So does each word that consists of
    them alone, unless it is set among words that plainly are of that script: «а с нами».
    """
    if _LETTERS_ALIKE.isdisjoint(text) and not _FORMULA.search(text):
        return set()
    words = list(_WORD.finditer(text))
    kinds = [_kind(word[0]) for word in words]
    gaps = [
        _BETWEEN.fullmatch(text, one.end(), other.start()) is not None
        for one, other in itertools.pairwise(words)
    ]
    leads = [False] * len(words)  # whether a word of another script follows
    for at in range(len(words) - 2, -1, -1):
        follows = kinds[at + 1] == "foreign" or (kinds[at + 1] == "alike" and leads[at + 1])
        leads[at] = gaps[at] and follows
    found: set[int] = set()
    is_before = False  # whether the word before is of another script
    for at, (word, kind) in enumerate(zip(words, kinds, strict=True)):
        is_set = at > 0 and gaps[at - 1] and is_before
        is_quoted = leads[at] and text[word.start() - 1 : word.start()] in _OPENING
        is_proper = kind == "foreign" or (kind == "alike" and (is_set or is_quoted))
        if kind == "mixed" or (kind == "alike" and not is_proper):
            found.update(word.start() + i for i, c in enumerate(word[0]) if c in _LETTERS_ALIKE)
        is_before = is_proper
    return found


_OPENING: Final = ("'", '"', "(", "«", "„", "“", "‘")


def _kind(word: str) -> str:
    """Return "mixed" (Latin letters and such that look alike), "alike" (only the latter),
    "foreign" (of another script), or "plain"."""
    letters = [letter for letter in word if not _NEUTRAL.match(letter)]
    alike = sum(letter in _LETTERS_ALIKE for letter in letters)
    latin = sum(_LATIN.match(letter) is not None for letter in letters)
    if alike and latin:
        return "mixed"
    if alike and alike == len(letters):
        return "foreign" if alike == 1 and _SYMBOL.match(letters[0]) else "alike"
    return "foreign" if letters and not latin else "plain"
