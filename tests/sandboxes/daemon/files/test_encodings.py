"""What a file's bytes are taken for, and that they come back as they were."""

from __future__ import annotations

import codecs

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from sandboxes.daemon.files.encodings import (
    NotText,
    codec_of,
    encoding_for,
    line_ends,
    lines_of,
    read_text,
)

JAPANESE = "// 設定を読み込みます。\nint x = 1; // 日本語のコメント\n"
CHINESE = "// 读取设置文件\nint x = 1; // 这是中文的注释,不是别的\n"
KOREAN = "// 설정 파일을 읽습니다\nint x = 1; // 이것은 주석입니다\n"
RUSSIAN = "# Это русский текст, а не какой-то другой\nx = 1\n"
GERMAN = "# Größe in Fuß, für alle Übungen\nx = 1\n"

# name → bytes, title, text; the text is the one that is meant
FILES = {
    "ASCII": (b"one\n", "UTF-8", "one\n"),
    "empty": (b"", "UTF-8", ""),
    "UTF-8": ("zwölf\n".encode(), "UTF-8", "zwölf\n"),
    "UTF-8 with BOM": (codecs.BOM_UTF8 + b"one\n", "UTF-8 with BOM", "one\n"),
    "UTF-16 LE": ("zwölf\n".encode("utf-16-le"), "UTF-16 LE", "zwölf\n"),
    "UTF-16 BE": ("zwölf\n".encode("utf-16-be"), "UTF-16 BE", "zwölf\n"),
    "UTF-16 LE, BOM": (b"\xff\xfe" + "日本".encode("utf-16-le"), "UTF-16 LE with BOM", "日本"),
    "UTF-16 BE, BOM": (b"\xfe\xff" + "日本".encode("utf-16-be"), "UTF-16 BE with BOM", "日本"),
    "UTF-32, BOM": (codecs.BOM_UTF32_LE + "a".encode("utf-32-le"), "UTF-32 LE with BOM", "a"),
    "Latin-1": (b"caf\xe9\n", "Windows-1252", "café\n"),
    "German": (GERMAN.encode("latin-1"), "Windows-1252", GERMAN),
    "Shift-JIS": (JAPANESE.encode("shift_jis"), "Shift-JIS", JAPANESE),
    "EUC-JP": (JAPANESE.encode("euc_jp"), "EUC-JP", JAPANESE),
    "GB18030": (CHINESE.encode("gb18030"), "GB18030", CHINESE),
    "EUC-KR": (KOREAN.encode("euc_kr"), "EUC-KR", KOREAN),
    "Windows-1251": (RUSSIAN.encode("cp1251"), "Windows-1251", RUSSIAN),
    "KOI8-R": (RUSSIAN.encode("koi8-r"), "KOI8-R", RUSSIAN),
    "declared, Python": (b"# -*- coding: latin-1 -*-\n\xa4", "Latin-1", None),
    "declared, XML": (b'<?xml version="1.0" encoding="Shift_JIS"?>\x83\x41', "Shift-JIS", None),
    "declared, HTML": (b'<meta charset="euc-kr">\xb0\xa1', "EUC-KR", None),
    "declared, CSS": (b'@charset "iso-8859-15";\n/* \xa4 */', "ISO-8859-15", None),
    "declared, untrue": (b"# coding: utf-8\n# caf\xe9\n", "Windows-1252", None),
    "declared, no text": (b"# coding: zlib\n# caf\xe9\n", "Windows-1252", None),
    "UTF-8, a bad byte": ("中文" * 9).encode() and (("中文" * 9).encode() + b"\xff", "UTF-8", None),
    "too little to know": (b"\xd6\xd0 = 1\n", "unknown", None),
}


@pytest.mark.parametrize(("raw", "title", "text"), FILES.values(), ids=FILES)
def test_what_a_file_is_in(raw, title, text):
    read = read_text(raw)

    assert read.encoding.title == title
    assert text in (None, read.text)
    assert read.spliced([]).raw == raw


@pytest.mark.parametrize(
    "raw",
    [
        pytest.param(b"text\0x", id="one NUL"),
        pytest.param(b"\x7fELF\x02\x01\x01\0" + bytes(8) + b"\x03\0>\0\x01\0\0\0", id="a program"),
        pytest.param(b"".join(n.to_bytes(2, "little") for n in range(200)), id="small numbers"),
        pytest.param(b"".join(n.to_bytes(4, "little") for n in range(60)), id="larger numbers"),
        pytest.param(b"\xff\xfea", id="half a character"),
        pytest.param(b"\xff\xfe" + bytes(10), id="NULs behind a mark"),
        pytest.param("a\n".encode("utf-16-le") + b"a", id="UTF-16 of an odd length"),
    ],
)
def test_what_is_binary(raw):
    with pytest.raises(NotText):
        read_text(raw)


def test_a_name_decides():
    read = read_text(b"\xd6\xd0 = 1\n", named=codec_of("GB2312"))

    assert (read.text, read.encoding.title, read.encoding.is_guess) == (
        "中 = 1\n",
        "GB18030",
        False,
    )
    with pytest.raises(NotText):
        read_text(b"\x81", named=codec_of("euc-kr"))


@pytest.mark.parametrize("name", ["rot13", "zlib", "idna", "unicode_escape", "undefined", "x" * 40])
def test_names_that_are_no_encodings_of_texts(name):
    with pytest.raises(LookupError):
        codec_of(name)


@pytest.mark.parametrize("title", sorted({title for _, title, _ in FILES.values()} - {"unknown"}))
def test_a_title_that_was_told_is_a_name(title):
    assert encoding_for(codec_of(title))


@pytest.mark.parametrize(
    ("text", "kind", "lines"),
    [
        pytest.param("a\nb\n", "LF", ["a", "b"]),
        pytest.param("a\r\nb", "CRLF", ["a", "b"]),
        pytest.param("a\rb\r", "CR", ["a", "b"]),
        pytest.param("a\r\nb\n", "mixed", ["a", "b"]),
        pytest.param("50%\r100%\n", "LF", ["50%\r100%"], id="a progress bar"),
        pytest.param("a", "", ["a"]),
        pytest.param("", "", []),
    ],
)
def test_line_ends(text, kind, lines):
    assert (line_ends(text), lines_of(text)) == (kind, lines)


@given(st.binary(max_size=300))
def test_any_bytes_come_back_as_they_were(raw):
    try:
        text = read_text(raw)
    except NotText:
        assume(False)
    half = len(text.text) // 2

    assert text.spliced([]).raw == raw
    assert text.spliced([(half, half, "")]).raw == raw
    assert text.spliced([(0, half, ""), (half, len(text.text), "")]).raw == text.encoding.mark


def test_a_character_with_two_codes_keeps_its_own():
    """Shift-JIS has U+00AC at 81 CA, EE F9 and FA 54; only the first is written."""
    raw = b"\xfa\x54 = 1; \xee\xf9"
    text = read_text(raw, named="cp932")

    assert text.spliced([(4, 5, "2")]).raw == b"\xfa\x54 = 2; \xee\xf9"
