"""Changes keys of a ``mesh.toml``, and keeps everything else that stands there. Pure."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Mapping, Sequence
from typing import Any, Final

from mesh.lib.errors import AppError

MOST_CHARACTERS: Final = 64 * 1024
MOST_LINES: Final = 200  # of one value


class InvalidSettings(AppError):
    code = "invalid_settings"
    text = "mesh.toml can't be read as TOML, so nothing was written."
    hint = "Mend the file, or ask the agent to; then try again."
    status = 409


class CantRewrite(AppError):
    code = "settings_not_rewritten"
    text = "mesh.toml is written in a form that can't be changed here, so nothing was written."
    hint = "Write the key into the file yourself."
    status = 409


def with_keys(text: str, changes: Mapping[str, int | str | Sequence[str]]) -> str:
    """Return ``text`` with the top-level keys set; comments, order and other keys stay.

    Raises:
        InvalidSettings: ``text`` is not valid TOML.
        CantRewrite: it is too long, or has a key in an unusual form.
    """
    if len(text) > MOST_CHARACTERS:
        raise CantRewrite
    before = parsed(text)
    for key, value in changes.items():
        text = _with_key(text, key, value)
    after = {key: _plain(value) for key, value in changes.items()}
    if parsed(text) != before | after:
        raise CantRewrite
    return text


def parsed(text: str) -> dict[str, Any]:
    """Return the settings.

    Raises:
        InvalidSettings: the text is not valid TOML.
    """
    try:
        return tomllib.loads(text)
    except (ValueError, RecursionError) as exc:
        raise InvalidSettings(f"mesh.toml can't be read as TOML: {exc}") from exc


def _with_key(text: str, key: str, value: int | str | Sequence[str]) -> str:
    lines = re.split(r"(?<=\n)", text)  # with their ends
    statement = f"{key} = {_written(value)}"
    known = parsed(text)
    if key in known:
        first, after = _span(lines, key, known)
        old = "".join(lines[first:after])
        ends = re.search(r"\r?\n?\Z", old)
        kept = _comment_of(old, key, known[key])
        lines[first:after] = [f"{statement}{kept}{ends[0] if ends else ''}"]
        return "".join(lines)
    line_end = "\r\n" if "\r\n" in text else "\n"
    place = _after_the_head(lines) if text.strip() else 0
    head, rest = "".join(lines[:place]), "".join(lines[place:])
    if head and not head.endswith("\n"):
        head += line_end
    return f"{head}{statement}{line_end}{rest}"


def _span(lines: list[str], key: str, known: Mapping[str, Any]) -> tuple[int, int]:
    """Return the lines of a key's statement: the ones without which only it is missing."""
    others = {name: value for name, value in known.items() if name != key}
    begins = re.compile(rf"""\s*(?:{key}|"{key}"|'{key}')\s*=""")
    for first in (number for number, line in enumerate(lines) if begins.match(line)):
        for after in range(first + 1, min(first + MOST_LINES, len(lines)) + 1):
            try:
                left = tomllib.loads("".join(lines[:first] + lines[after:]))
                alone = tomllib.loads("".join(lines[first:after]))
            except (ValueError, RecursionError):
                continue
            if left == others and alone == {key: known[key]}:
                return first, after
    raise CantRewrite


def _comment_of(statement: str, key: str, value: Any) -> str:
    """Return the comment behind a statement, with the space before it; empty without one."""
    for found in re.finditer(r"[ \t]*#", statement):
        try:
            if tomllib.loads(statement[: found.start()]) == {key: value}:
                return statement[found.start() :].splitlines()[0]
        except ValueError:
            continue
    return ""


def _after_the_head(lines: list[str]) -> int:
    """Return the line after the comments at the top, if an empty one sets them apart; else 0."""
    for number, line in enumerate(lines):
        if not line.strip():
            return number + 1
        if not line.lstrip().startswith("#"):
            break
    return 0


def _written(value: int | str | Sequence[str]) -> str:
    """Return a value in TOML."""
    if isinstance(value, int):
        return str(value)
    if isinstance(value, str):
        return _quoted(value)
    return f"[{', '.join(map(_quoted, value))}]"


def _plain(value: int | str | Sequence[str]) -> Any:
    """Return a value as it is read again."""
    return value if isinstance(value, int | str) else [*value]


def _quoted(word: str) -> str:
    # JSON's strings are TOML's, but for the delete character.
    return json.dumps(word, ensure_ascii=False).replace("\x7f", "\\u007f")
