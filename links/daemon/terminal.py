"""What ``deco_link`` prints: characters that nobody sees, or that act on a terminal, as marks.

Names of machines and organizations, folders, commands and the words of servers are chosen by
others. The table of what is marked is that of the page (``mesh.lib.marks``).
"""

from __future__ import annotations

import argparse
import logging
import sys
from typing import IO, Any

from mesh.lib import marks


def say(text: object, *, error: bool = False) -> None:
    """Print ``text`` on stdout, or as an error on stderr, at once."""
    stream = sys.stderr if error else sys.stdout
    print(_encodable(shown(str(text)), stream), file=stream, flush=True)


def shown(text: str) -> str:
    """Return a text of one or more lines as it may stand on a terminal."""
    return "\n".join(map(marks.exact, text.split("\n")))


def in_line(text: str) -> str:
    """Return a value that somebody else chose as a part of one line: it begins no other."""
    return marks.exact(text).replace("\n", _mark("\n")).replace("\t", _mark("\t"))


def _mark(character: str) -> str:
    return f"⟨U+{ord(character):04X}⟩"


def _encodable(text: str, stream: IO[str]) -> str:
    encoding = getattr(stream, "encoding", None) or "utf-8"
    return text.encode(encoding, "backslashreplace").decode(encoding)


class Parser(argparse.ArgumentParser):
    """Reads a command's arguments, and says what is wrong with them in the same way."""

    def _print_message(self, message: str, file: Any = None) -> None:
        if message:
            stream = file or sys.stderr
            stream.write(_encodable(shown(message), stream))


class LogFormatter(logging.Formatter):
    """Writes each record's message in one line. Somebody may look at a log on a terminal."""

    def formatMessage(self, record: logging.LogRecord) -> str:
        record.message = in_line(record.message)
        return super().formatMessage(record)

    def format(self, record: logging.LogRecord) -> str:
        return shown(super().format(record))
