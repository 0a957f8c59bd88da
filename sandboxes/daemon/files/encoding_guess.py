"""Guesses the encoding of a text that is neither UTF-8 nor says what it is.

Each encoding is scored by how likely its readers would write the characters that it makes of the
bytes: a wrong one makes rare characters of them. Without a clear winner there is none: an editor
that takes a text for another encoding would write characters into it that nobody can read.
Imports only the standard library, so that the search process starts fast.
"""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

SAMPLE: Final = 16 * 1024  # bytes that are scored
MARGIN: Final = 6.0  # by which the best must win, as a logarithm: 400 times more likely
# Per character: what scores worse is a text in none of them.
LEAST: Final = -9.5
LEAST_OF_LETTERS: Final = -7.5

_ODD: Final = -13.0  # a character that hardly any text has
_NEVER: Final = -40.0  # a control character, or none at all
_LATIN_END: Final = "\u0250"


@dataclass(frozen=True, slots=True)
class _Language:
    """What is written in one encoding: the logarithms of how frequent the characters are."""

    codec: str
    frequent: Mapping[str, float]
    is_usual: Callable[[str], bool] = lambda _: False
    usual: float = 0.0
    is_alphabet: bool = True

    def score(self, text: str) -> float:
        """Return the logarithm of the likelihood of the text's characters beyond ASCII."""
        total, before = 0.0, " "
        for char in text:
            if char >= "\x80":
                total += self._of(char)
            if self.is_alphabet and (char >= "\x80" or before >= "\x80"):
                total += _joint(before, char)
            before = char
        return total

    def _of(self, char: str) -> float:
        if char in self.frequent:
            return self.frequent[char]
        if self.is_usual(char):
            return self.usual
        return _NEVER if unicodedata.category(char) in ("Cc", "Cn", "Co") else _ODD


def _joint(before: str, char: str) -> float:
    """Return what it costs that these two letters stand side by side."""
    if not (before.isalpha() and char.isalpha()):
        return 0.0
    if (before < _LATIN_END) != (char < _LATIN_END):
        return _ODD  # two alphabets in one word
    if before.islower() and char.isupper():
        return _ODD / 2
    # Two such letters in a row are rare in Latin script: Größe.
    return -2.5 if "\x80" <= before < _LATIN_END and char >= "\x80" else 0.0


def _in_level_1(codec: str, first: int, last: int) -> Callable[[str], bool]:
    """Return a test for the first part of an encoding's table, which has the common characters."""

    def is_usual(char: str) -> bool:
        try:
            found = char.encode(codec)
        except UnicodeEncodeError:
            return False
        # GB18030 and CP949 have further characters with smaller second bytes.
        is_first_part = codec in ("cp932", "big5") or found[-1] >= 0xA1
        return len(found) == 2 and first <= found[0] <= last and is_first_part

    return is_usual


_SIGNS: Final = "、。，．・：；？！ー「」『』（）《》【】“”‘’…—～　０１２３４５６７８９"
_KANA: Final = "".join(map(chr, [*range(0x3041, 0x3094), *range(0x30A1, 0x30F7)]))
_KANJI: Final = (
    "日本人一大年出中会国上分生事前名文字数設定変更使用入力選択追加削除表示確認場合対象番号行時間"
)
_HANZI: Final = (
    "的一是不了在人有我他这个们中来上大为和国地到以说时要就出会可也你对生能而子那得于着下自之年过发后作里用道"
    "行所然家种事成方多经么去法学如都同现当没动面起看定天分还进好小部其些主样理心她本前开但因只从想实"
    "数据文件户名字符号输入请选择错误信息设置值类型函参返回新删除添加修改编辑保存码界表列未无"
)
_HANZI_OLD: Final = (
    "的一是不了在人有我他這個們中來上大為和國地到以說時要就出會可也你對生能而子那得於著下自之年過發後作裡用道"
    "行所然家種事成方多經麼去法學如都同現當沒動面起看定天分還進好小部其些主樣理心她本前開但因只從想實"
    "檔案使者名稱字請選擇錯誤資訊設值類型刪除新增修改編輯儲存碼數輸入"
)
_HANGUL: Final = (
    "이다는을의에가고하지를로은기도사한리어나인시자대해아정그일서게라보여부전수제만들면니있상주장습것성으구스"
    "안공원요과입력오류파값설선택된합십변경삭저목록용명"
)
# The letters of each language that are not ASCII, the most frequent first.
_ALPHABETS: Final = (
    ("cp1252", "éèàêçôùîâûëï’œ«»ÉÀ"),  # French
    ("cp1252", "üäößÜÄÖ„“–é"),  # German
    ("cp1252", "óíáéñú¿¡üºªÓÁÉ"),  # Spanish
    ("cp1252", "ãçáéíóõêâúàôºªÁÉ"),  # Portuguese
    ("cp1252", "äöåÄÅÖé"),  # Swedish, Finnish
    ("cp1252", "øåæØÅÆé"),  # Danish, Norwegian
    ("cp1252", "àèéìòùÈ"),  # Italian
    ("cp1252", "’“”–—…°©·£€§®"),  # English
    ("cp1250", "łąężśóćńźŁŚŻŹĆ"),  # Polish
    ("cp1250", "íáéěýžřčšůúťďňóŠČŘŽ"),  # Czech, Slovak
    ("cp1250", "áéöőüóíúűÁÉŐÖ"),  # Hungarian
    ("cp1254", "ıüşçğöİŞÇÖÜ"),  # Turkish
    ("cp1251", "оеаинтсрвлкмдпуяыьгзбчйхжшюцщэфъёПСВНОКИДРМТАЗУБГФЕЧЛШЭХЖ«»–—№"),  # Russian
    ("cp1251", "оаинвтерислкдпумзьябгчйхцжюєіїщшґПВНЗДКСІМОТРУЄЇ«»–"),  # Ukrainian
    ("koi8_r", "оеаинтсрвлкмдпуяыьгзбчйхжшюцщэфъёПСВНОКИДРМТАЗУБГФЕЧЛШЭХЖ"),
    ("cp1253", "οαιετσνρπκμηυλςίάόγδέθωφχβήύώξζψΕΑΔΠΣΚΜΤΟΗΝ«»"),  # Greek
    ("cp1255", "יוהלראתשמבנכדםקפעטחגזסצןךףץ"),  # Hebrew
    ("cp1256", "اليمنرتوبةعدسفهكقحجشطصخضذثغىءظزئؤأإآ،؟"),  # Arabic
)


def _ideographs(codec: str, frequent: str, first: int, last: int, size: int) -> _Language:
    ranked = dict.fromkeys(frequent + _SIGNS, math.log(0.6 / len(frequent + _SIGNS)))
    return _Language(codec, ranked, _in_level_1(codec, first, last), math.log(0.35 / size), False)


def _alphabet(codec: str, letters: str) -> _Language:
    total = sum(1 / (rank + 3) for rank in range(len(letters)))
    ranked = {letter: math.log(0.95 / (rank + 3) / total) for rank, letter in enumerate(letters)}
    return _Language(codec, ranked)


_LANGUAGES: Final = (
    *(_alphabet(codec, letters) for codec, letters in _ALPHABETS),
    _ideographs("cp932", _KANA + _KANJI, 0x88, 0x97, 2965),
    _ideographs("gb18030", _HANZI, 0xB0, 0xD7, 3755),
    _ideographs("euc_jp", _KANA + _KANJI, 0xB0, 0xCF, 2965),
    _ideographs("big5", _HANZI_OLD, 0xA4, 0xC6, 5401),
    _ideographs("cp949", _HANGUL, 0xB0, 0xC8, 2350),
)


@dataclass(frozen=True, slots=True)
class Guess:
    """The codec that a text is in, if one clearly wins, else those that it may be in."""

    winner: str = ""
    rivals: tuple[str, ...] = ()


def guess(raw: bytes) -> Guess:
    """Return what ``raw`` may be encoded in."""
    texts = _decoded(raw)
    scored = [
        _Scored(language.score(texts[language.codec]), language, texts[language.codec])
        for language in _LANGUAGES
        if language.codec in texts
    ]
    scored = _best_of_each(scored)
    if not scored:
        return Guess()
    best = scored[0]
    least = LEAST_OF_LETTERS if best.language.is_alphabet else LEAST
    if best.score < least * sum(char >= "\x80" for char in best.text):
        return Guess(rivals=tuple(each.language.codec for each in scored))
    # One that makes the same characters of it is no rival: cp1250 has most letters of cp1252.
    close = [each for each in scored if best.score - each.score < MARGIN and each.text != best.text]
    codecs = tuple(each.language.codec for each in (best, *close))
    return Guess(rivals=codecs) if close else Guess(codecs[0])


@dataclass(frozen=True, slots=True)
class _Scored:
    score: float
    language: _Language
    text: str


def _best_of_each(scored: list[_Scored]) -> list[_Scored]:
    """Return the best score of each codec, in which several languages are written; best first."""
    found: dict[str, _Scored] = {}
    for each in sorted(scored, key=lambda each: each.score, reverse=True):
        found.setdefault(each.language.codec, each)
    return list(found.values())


def _decoded(raw: bytes) -> dict[str, str]:
    """Return a sample of the text in each codec that ``raw`` as a whole can be in."""
    sample = _sample(raw)
    texts: dict[str, str] = {}
    for codec in {language.codec for language in _LANGUAGES}:
        try:
            raw.decode(codec)
        except UnicodeDecodeError:
            continue
        texts[codec] = sample.decode(codec, "ignore")  # its end may be half a character
    return texts


def _sample(raw: bytes) -> bytes:
    """Return the first lines with bytes beyond ASCII."""
    found, size = [], 0
    for line in raw.split(b"\n"):
        if not line.isascii():
            found.append(line)
            size += len(line)
            if size > SAMPLE:
                break
    return b"\n".join(found)[:SAMPLE]
