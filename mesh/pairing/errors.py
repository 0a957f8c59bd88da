"""Why a code is refused, or not issued."""

from __future__ import annotations

from mesh.lib.errors import AppError


class UnknownCode(AppError):
    code = "unknown_code"
    text = "There is no such code."
    hint = "Compare it with the one that deco_link shows."


class CodeTooOld(AppError):
    code = "code_too_old"
    text = "This code is too old: it is valid for ten minutes."
    hint = "Start deco_link again on the machine; it shows a new one."
    status = 410


class CodeUsed(AppError):
    code = "code_used"
    text = "This code has already been used."
    hint = "Start deco_link again on the machine; it shows a new one."
    status = 410


class TooManyTries(AppError):
    code = "too_many_tries"
    text = "Ten wrong codes were entered in a row, so no code is accepted for ten minutes."
    hint = "Wait, start deco_link again, and type the new code that it shows."
    status = 429


class TooManyAsks(AppError):
    code = "too_many_asks"
    text = "Too many machines have asked for a code."
    hint = "Wait ten minutes, then start deco_link again."
    status = 429
