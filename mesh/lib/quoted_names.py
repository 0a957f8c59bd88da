"""Names of files as text that can be shown, stored and sent as JSON. Pure.

A file's name is bytes. In our code it is text whose bytes that are not UTF-8 are surrogates
(``os.fsdecode``), which neither JSON nor a page can carry. Outside, such a name has the form that
git itself prints (with ``core.quotePath=false``): in double quotes, the odd bytes in octal, such as
``"caf\\351.txt"``. Every other name stays as it is, unless it begins with a double quote: so no
text means two files.
"""

from __future__ import annotations

import os
import re
from typing import Final

_BY_LETTER: Final = {
    **{"a": 7, "b": 8, "t": 9, "n": 10, "v": 11, "f": 12, "r": 13},
    **{'"': ord('"'), "\\": ord("\\")},
}
_BY_CODE: Final = {code: letter for letter, code in _BY_LETTER.items()}
# Control characters, the two that have a meaning, and bytes that are not UTF-8.
_ESCAPED: Final = re.compile('[\x00-\x1f"\\\\\x7f\udc80-\udcff]')
_CONTROL: Final = re.compile("[\x00-\x1f\x7f]")
_PIECE: Final = re.compile(r'\\([abtnvfr"\\]|[0-3][0-7]{2})|([^"\\]+)')
_QUOTED: Final = re.compile(f'"(?:{_PIECE.pattern})*+"')


def quote(name: str) -> str:
    """Return a name for people and for JSON; ``unquote`` returns the name again."""
    if _is_text(name) and not name.startswith('"'):
        return name
    return f'"{_ESCAPED.sub(_escape, name)}"'


def quote_in_line(name: str) -> str:
    """Return a name for a list with a name, or more, in each line: without control characters."""
    return f'"{_ESCAPED.sub(_escape, name)}"' if _CONTROL.search(name) else quote(name)


def unquote(text: str) -> str:
    """Return the name that ``quote`` made ``text`` of.

    Raises:
        ValueError: it is no quoted name, or text that can't be sent.
    """
    if not _is_text(text):
        raise ValueError("surrogates")
    return printed(text)


def printed(text: str) -> str:
    """Return the name that git printed as ``text``: bytes that are not UTF-8 may be surrogates.

    Raises:
        ValueError: it is no quoted name.
    """
    if not text.startswith('"'):
        return text
    inner = text[1:-1]
    pieces = list(_PIECE.finditer(inner))
    if (
        len(text) < 2
        or not text.endswith('"')
        or sum(len(piece[0]) for piece in pieces) != len(inner)
    ):
        raise ValueError("not a quoted name")
    return os.fsdecode(b"".join(map(_bytes_of, pieces)))


def _escape(found: re.Match[str]) -> str:
    code = os.fsencode(found[0])[0]
    return f"\\{_BY_CODE[code]}" if code in _BY_CODE else f"\\{code:03o}"


def _bytes_of(piece: re.Match[str]) -> bytes:
    escape, plain = piece[1], piece[2]
    if plain:
        return os.fsencode(plain)
    return bytes([_BY_LETTER[escape] if escape in _BY_LETTER else int(escape, 8)])


def _is_text(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True
