"""Adapters named for their fault, all of which drive ``child.py``."""

from __future__ import annotations

import hashlib
import json
import sys
from pathlib import Path

from agents.harness.base import (
    Applied,
    Ask,
    Background,
    BackgroundTask,
    Done,
    Emit,
    Fail,
    Launch,
    NotSteered,
    Steered,
    Unasked,
    Write,
)
from agents.harness.files import read_data_url

CHILD = Path(__file__).with_name("child.py")


def find_child(env):
    return [sys.executable, str(CHILD)]


class PlainHarness:
    """Does what an adapter must do, and no more. The message is a list of the child's steps."""

    kind = "plain"
    is_starting = False
    flags: tuple[str, ...] = ()

    def __init__(self):
        self.is_in_turn = False
        self.is_stopped = False
        self.questions = set()

    def launch(self, turn):
        return Launch("test-child", self.flags, {"TEST_ADDITION": "yes"})

    def key(self, turn):
        return turn.model

    def begin(self, turn):
        self.is_in_turn, self.is_stopped = True, False
        return [
            Emit({"type": "start", "messageId": turn.run_id}),
            Emit({"type": "text-start", "id": "t"}),
            *map(_given, files_of(turn.last_message)),
            Write(turn.prompt.encode()),
        ]

    def feed(self, line):
        said = json.loads(line)
        if not self.is_in_turn:
            return []
        if "text" in said:
            return [Emit({"type": "text-delta", "id": "t", "delta": said["text"]})]
        if "note" in said:
            return [Emit({"type": "data-note", "data": said["note"]})]
        if "call" in said:
            head = {"toolCallId": said["call"], "toolName": "shell", "dynamic": True}
            return [
                Emit({"type": "tool-input-start", **head}),
                Emit({"type": "tool-input-available", **head, "input": {"command": "sleep"}}),
            ]
        if "ask" in said:
            question = said["ask"]
            self.questions.add(question)
            chunk = {"type": "tool-approval-request", "approvalId": question, "toolCallId": "c"}
            return [Ask(question, "c", "shell", {"command": "true"}, chunk)]
        return self._over()

    def _over(self):
        self.is_in_turn = False
        abort = [Emit({"type": "abort"})] if self.is_stopped else []
        return [
            Emit({"type": "text-end", "id": "t"}),
            *abort,
            Emit({"type": "finish"}),
            Done(),
        ]

    def answer(self, approval_id, decision, reason, answers=None):
        line = json.dumps({"decision": decision, "reason": reason, "answers": answers or {}})
        return [Write(line.encode()), Applied(approval_id, decision)]

    def steer(self, steer_id, message):
        text = message["parts"][0]["text"]
        if text == "no":
            return [NotSteered(steer_id)]
        return [Steered(steer_id), Emit({"type": "text-delta", "id": "t", "delta": f"<{text}>"})]

    def interrupt(self):
        self.is_stopped = True
        return [Write(b'"stop"')]

    def ended(self, code, stderr):
        if not self.is_in_turn:
            return []
        if self.is_stopped:
            return self._over()
        self.is_in_turn = False
        text = f"The program ended with {code}: {stderr}"
        return [
            Emit({"type": "text-end", "id": "t"}),
            Emit({"type": "error", "errorText": text}),
            Emit({"type": "finish", "finishReason": "error"}),
            Fail("harness_crashed", text),
            Done(),
        ]


def files_of(message):
    return [part for part in message.get("parts", ()) if part["type"] == "file"]


def _given(part):
    """Tell the digest of a file that came with the message; None: it did not come."""
    data = read_data_url(part["url"])
    digest = data and hashlib.sha256(data).hexdigest()
    return Emit({"type": "data-file", "data": {"name": part["filename"], "digest": digest}})


class DeafHarness(PlainHarness):
    """Its program hears neither an interrupt nor SIGTERM."""

    kind = "deaf"
    flags = ("--deaf",)


class QuietHarness(PlainHarness):
    """Begins its text with the program's first words."""

    kind = "quiet"

    def begin(self, turn):
        self.has_spoken = False
        return [out for out in super().begin(turn) if not _begins_text(out)]

    def feed(self, line):
        begins = [] if self.has_spoken else [Emit({"type": "text-start", "id": "t"})]
        self.has_spoken = True
        return begins + super().feed(line)


def _begins_text(out):
    return isinstance(out, Emit) and out.chunk["type"] == "text-start"


class CrashingHarness(PlainHarness):
    """Raises on the first line it is fed."""

    kind = "crashing"

    def feed(self, line):
        raise RuntimeError("a bug of the adapter")


class ForgetfulHarness(PlainHarness):
    """Says nothing when its program has gone."""

    kind = "forgetful"

    def ended(self, code, stderr):
        return []


class MissingHarness(PlainHarness):
    """Its program is not installed."""

    kind = "missing"

    def launch(self, turn):
        return Launch("no-such-program-anywhere")


class TemptedHarness(PlainHarness):
    """Its program would run what a project brings as a plugin."""

    kind = "tempted"

    def launch(self, turn):
        return Launch("test-child", refuses=("plugins/*",))


class ConfusedHarness(PlainHarness):
    """Raises when it is answered."""

    kind = "confused"

    def answer(self, approval_id, decision, reason, answers=None):
        raise RuntimeError("a bug of the adapter")


class AgainHarness(PlainHarness):
    """Wants another program once."""

    kind = "again"

    def begin(self, turn):
        from agents.harness.base import Again

        if not hasattr(self, "is_second"):
            self.is_second = True
            return [Again(turn)]
        return super().begin(turn)


class UnaskedHarness(PlainHarness):
    """Its program works in the background, and then begins a turn by itself."""

    kind = "unasked"

    def __init__(self):
        super().__init__()
        self.kept = []

    def begin(self, turn):
        return [*super().begin(turn), Background((BackgroundTask("b1", "Waits"),))]

    def feed(self, line):
        if self.is_in_turn:
            return super().feed(line)
        self.kept.append(line)
        return [Background(), Unasked("The command ended.")] if len(self.kept) == 1 else []

    def begin_unasked(self, turn):
        self.is_in_turn, lines, self.kept = True, self.kept, []
        start = Emit({"type": "start", "messageId": turn.run_id})
        outs = [start, Emit({"type": "text-start", "id": "t"})]
        return outs + [out for line in lines for out in self.feed(line)]

    def stop_task(self, task_id):
        return [Write(b'"stop"')] if task_id == "b1" else []


ADAPTERS = {
    harness.kind: harness
    for harness in (
        PlainHarness,
        DeafHarness,
        QuietHarness,
        CrashingHarness,
        ForgetfulHarness,
        MissingHarness,
        TemptedHarness,
        ConfusedHarness,
        AgainHarness,
        UnaskedHarness,
    )
}
