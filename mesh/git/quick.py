"""Short calls of git, which need no network. Blocking."""

from __future__ import annotations

import subprocess
from typing import Final

from mesh import children
from mesh.git.calls import Call
from mesh.git.own import NotReadable

WITHIN: Final = 30.0  # seconds


def run(call: Call) -> tuple[int, str, bytes]:
    """Return a call's exit code, output and messages.

    Raises:
        NotReadable: git could not be started, or took too long.
    """
    code, out, err = exchange(call, b"")
    return code, out.decode(errors="surrogateescape").rstrip("\n"), err


def exchange(call: Call, given: bytes) -> tuple[int, bytes, bytes]:
    """Return the exit code, output and messages of a call that reads ``given``.

    Raises:
        NotReadable: git could not be started, or took too long.
    """
    try:
        process = children.start(
            lambda: subprocess.Popen(
                call.argv,
                cwd=call.cwd,
                env=call.env,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
            )
        )
    except OSError as exc:
        raise NotReadable(f"Git could not be started: {exc.strerror}.") from exc
    with process:
        try:
            out, err = process.communicate(given, timeout=WITHIN)
        except subprocess.TimeoutExpired as exc:
            process.kill()
            raise NotReadable(f"Git took longer than {WITHIN:.0f} s to read {call.cwd}.") from exc
    return process.returncode, out, err
