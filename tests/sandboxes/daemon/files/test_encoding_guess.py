"""Real sentences of many languages, in the encodings that they were written in before UTF-8."""

from __future__ import annotations

import random
import re
from collections import Counter
from pathlib import Path

import django
import pytest

from sandboxes.daemon.files.encoding_guess import guess

CASES = [
    ("ja", "cp932"),
    ("ja", "euc_jp"),
    ("zh_Hans", "gb18030"),
    ("zh_Hant", "big5"),
    ("ko", "cp949"),
    ("ru", "cp1251"),
    ("ru", "koi8_r"),
    ("uk", "cp1251"),
    ("de", "cp1252"),
    ("fr", "cp1252"),
    ("es", "cp1252"),
    ("pt", "cp1252"),
    ("sv", "cp1252"),
    ("pl", "cp1250"),
    ("cs", "cp1250"),
    ("hu", "cp1250"),
    ("tr", "cp1254"),
    ("el", "cp1253"),
    ("he", "cp1255"),
]


def sentences(language):
    """Return the translations that come with Django."""
    files = Path(django.__file__).parent.glob(f"**/locale/{language}/LC_MESSAGES/*.po")
    texts = (file.read_text(encoding="utf-8") for file in sorted(files))
    return [found for text in texts for found in re.findall(r'^msgstr "(.+)"$', text, re.MULTILINE)]


@pytest.mark.parametrize(("language", "codec"), CASES)
def test_files_with_ten_comments_are_known_and_none_is_taken_for_another(language, codec):
    draw, told = random.Random(1), Counter()
    known = sentences(language)
    while told.total() < 50:
        chosen = "\n".join(f"x = 1  # {text}" for text in draw.sample(known, 10))
        raw = chosen.encode(codec, "ignore")
        found = guess(raw).winner
        told["known" if found and raw.decode(found) == raw.decode(codec) else found] += 1

    assert told["known"] >= 40
    assert told.keys() <= {"known", ""}


@pytest.mark.parametrize(
    "raw",
    [
        pytest.param(b"\xd6\xd0", id="one character of many encodings"),
        pytest.param(bytes(range(0x80, 0x100)), id="every byte"),
        pytest.param(b"\xff\xfe\xfd\x80\x81", id="none of any"),
    ],
)
def test_without_a_clear_winner_there_is_none(raw):
    assert guess(raw).winner == ""
