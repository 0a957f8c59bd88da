"""Runs something as a user whom the modes of files stop, also where the tests run as root."""

from __future__ import annotations

import ctypes
import os
import threading
from collections.abc import Callable
from typing import Final

_DAC_OVERRIDE, _DAC_READ_SEARCH = 1, 2  # root's rights to read and write everything
_PR_CAPBSET_DROP: Final = 24
_VERSION_3: Final = 0x20080522


class _Header(ctypes.Structure):
    _fields_ = [("version", ctypes.c_uint32), ("pid", ctypes.c_int)]


class _Data(ctypes.Structure):
    _fields_ = [(name, ctypes.c_uint32) for name in ("effective", "permitted", "inheritable")]


def unprivileged(call: Callable[[], object]) -> None:
    """Call it on an OS thread of its own, which, with its children, lacks these rights."""
    raised: list[BaseException] = []

    def run() -> None:
        try:
            if os.geteuid() == 0:
                _drop()
            call()
        except BaseException as exc:
            raised.append(exc)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    if raised:
        raise raised[0]


def _drop() -> None:
    system = ctypes.CDLL(None, use_errno=True)
    header, data = _Header(_VERSION_3, 0), (_Data * 2)()
    assert system.capget(ctypes.byref(header), data) == 0
    for right in (_DAC_OVERRIDE, _DAC_READ_SEARCH):
        assert system.prctl(_PR_CAPBSET_DROP, right, 0, 0, 0) == 0
        data[0].effective &= ~(1 << right)
        data[0].permitted &= ~(1 << right)
        data[0].inheritable &= ~(1 << right)
    assert system.capset(ctypes.byref(header), data) == 0
