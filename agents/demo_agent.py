"""The demo agent: a program that plays a coding agent, without model, key or network.

It is run by path with any Python (standard library only) and speaks JSON lines on stdin and
stdout; ``agents/harness/demo.py`` is the other end. It does what a few words in the message
tell it (see ``HELP``), so that a first look and the tests need nothing else.

In:  {"type": "turn", "prompt", "level", "mode"} · {"type": "answer", "id", "decision", "reason"} ·
     {"type": "steer", "id", "text"} · {"type": "interrupt"} · {"type": "stop", "id"}
Out: session · text · thinking · tool · ask · output · failed · denied · steered · end ·
     background · unasked, see ``say``. When a command in the background ends, the agent begins a
     turn by itself: an ``unasked`` line, then a turn's lines.
"""

from __future__ import annotations

import sys

# Run by path, Python puts this folder first: its selectors.py would hide Python's own.
if __name__ == "__main__" and sys.path and sys.path[0] == __file__.rpartition("/")[0]:
    del sys.path[0]

import json
import os
import queue
import re
import signal
import subprocess
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

PACE = 0.25  # seconds between two numbers of "count slowly"
TYPING = 0.01  # seconds between two words of an answer
OUTPUT_LIMIT = 256 * 1024  # of one command, in bytes
PARTIAL_LIMIT = 16 * 1024  # output so long is shown whole at the end only
LARGEST = 64 * 1024 * 1024
HARMLESS = "echo approved"
SAYING = threading.Lock()

UNITS = (
    *("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"),
    *("eleven", "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen"),
    *("eighteen", "nineteen", "twenty"),
)
TENS = {"thirty": 30, "forty": 40, "fifty": 50, "sixty": 60, "hundred": 100}
WORDS = {word: n for n, word in enumerate(UNITS)} | TENS

HELP = """\
## Hello from the demo agent

I am a **scripted demo without a model**: I do not understand what you write, I only look for \
a few words. Everything around me is real: this text is streamed from a process on your \
machine, through the same journal as any agent's.

Try one of these:

- `count slowly to twenty`, then reload the page in the middle, or press stop
- `run ls -la` to see a tool call (at "ask before edit" I ask first)
- while I count, send another message and press “send now”: I read it at once
- `ask` to see a question for your approval
- `background sleep 20` to see a command outlive its answer; I tell you when it has ended
- `think` to see how thinking is shown
- `fail` to see an error

| Agent | Needs | Good for |
|---|---|---|
| Demo | nothing | a first look |
| Claude Code | the `claude` program, signed in | real work |

```sh
npm install -g @anthropic-ai/claude-code   # then run: claude
```
"""


class Interrupted(Exception):
    """The person pressed stop."""


@dataclass
class Background:
    """A command that runs in the background."""

    command: str
    child: subprocess.Popen[bytes]
    is_stopped: bool = False


class Agent:
    """One conversation: one OS thread reads the orders, the main one plays the turns."""

    def __init__(self, session: str) -> None:
        self.session = session
        # None in either queue: stdin has ended.
        self.turns: queue.Queue[dict[str, Any] | None] = queue.Queue()
        self.signals: queue.Queue[tuple[int, dict[str, Any] | None]] = queue.Queue()
        self.turn = 0  # the number of the turn that is played
        self.calls = 0
        self.background: dict[str, Background] = {}

    def run(self) -> None:
        """Play turns until stdin ends."""
        threading.Thread(target=self._read, daemon=True).start()
        while (order := self.turns.get()) is not None:
            self.turn += order.get("type") == "turn"
            self._play(order)

    def _read(self) -> None:
        given = 0
        for line in sys.stdin.buffer:
            try:
                order = json.loads(line)
            except ValueError:
                continue
            if not isinstance(order, dict):
                continue
            if order.get("type") == "turn":
                given += 1
                self.turns.put(order)
            elif order.get("type") == "stop":
                self.stop(str(order.get("id")))
            else:
                self.signals.put((given, order))
        self.turns.put(None)
        self.signals.put((given, None))

    def start(self, command: str) -> None:
        """Run a command in the background; when it has ended, begin a turn by itself."""
        self.calls += 1
        task = f"task-{self.calls}"
        child = subprocess.Popen(  # noqa: S602 - a shell command is what the person asked for
            command,
            shell=True,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        self.background[task] = Background(command, child)
        self.tell()
        threading.Thread(target=self._await, args=(task, child), daemon=True).start()

    def _await(self, task: str, child: subprocess.Popen[bytes]) -> None:
        code = child.wait()
        ended = self.background.pop(task)
        self.tell()
        if not ended.is_stopped:
            self.turns.put({"type": "unasked", "command": ended.command, "code": code})

    def stop(self, task: str) -> None:
        """End a command in the background."""
        if (running := self.background.get(task)) is not None:
            running.is_stopped = True
            os.killpg(running.child.pid, signal.SIGTERM)

    def tell(self) -> None:
        """Say what runs in the background."""
        tasks = [{"id": task, "title": each.command} for task, each in self.background.items()]
        say("background", tasks=tasks)

    def _play(self, order: dict[str, Any]) -> None:
        if order.get("type") == "unasked":
            say("unasked", reason=f"The background command “{order['command']}” has ended.")
            order["prompt"] = f"report {order['code']}"
        say("session", id=self.session)
        try:
            self.follow(order)
            say("end", reason="stop")
        except Interrupted:
            say("end", reason="interrupted")

    def follow(self, order: dict[str, Any]) -> None:
        """Do what the words in the order's prompt say."""
        prompt = str(order.get("prompt", ""))
        for pattern, play in SCRIPTS:
            if found := pattern.search(prompt):
                play(self, found, order)
                return
        self.type_out(HELP)

    def pause(self, seconds: float) -> dict[str, Any] | None:
        """Wait, and return an answer that arrived in the meantime.

        Raises:
            Interrupted: the person pressed stop, or stdin ended.
        """
        try:
            turn, order = self.signals.get(timeout=max(seconds, 0))
        except queue.Empty:
            return None
        if order is None:
            self.signals.put((turn, None))  # later calls must see it, too
            raise Interrupted
        if turn < self.turn:
            return None  # meant for a turn that has ended
        if order.get("type") == "interrupt":
            raise Interrupted
        if order.get("type") == "steer":
            say("steered", id=order.get("id"))
            say("text", delta=f"You say in between: {order.get('text')}\n\n")
            return None
        return order

    def type_out(self, text: str, kind: str = "text", pace: float = TYPING) -> None:
        for piece in re.findall(r"\s*\S+\s*", text):
            say(kind, delta=piece)
            self.pause(pace)

    def call(self, command: str, *, ask: bool) -> None:
        """Run one shell command as a tool call, after asking if ``ask`` is set."""
        self.calls += 1
        call = f"call-{self.session[:8]}-{os.getpid()}-{self.calls}"
        say("tool", id=call, name="shell", input={"command": command})
        if ask and (refusal := self.refused(call, command)) is not None:
            say("denied", id=call)
            say("text", delta=f"You said no{refusal}, so I did not run it.")
            return
        self.execute(call, command)

    def refused(self, call: str, command: str) -> str | None:
        """Ask, and return the reason of a refusal; ``None`` if it was allowed."""
        say("ask", id=f"ask-{call}", tool=call, name="shell", input={"command": command})
        while True:
            order = self.pause(3600)
            if order and order.get("type") == "answer" and order.get("id") == f"ask-{call}":
                if order.get("decision") == "allow":
                    return None
                return f" (“{order['reason']}”)" if order.get("reason") else ""

    def execute(self, call: str, command: str) -> None:
        child = subprocess.Popen(  # noqa: S602 - a shell command is what the person asked for
            command,
            shell=True,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        try:
            output = "".join(self._watch(child, call))
        except Interrupted:
            end_group(child)
            raise
        if child.returncode:
            say("failed", id=call, text=f"Exit code {child.returncode}\n{output}".rstrip())
            say("text", delta=f"The command failed with exit code {child.returncode}.")
        else:
            say("output", id=call, output=output)
            say("text", delta="The command is done.")

    def _watch(self, child: subprocess.Popen[bytes], call: str) -> Iterator[str]:
        """Yield the output as it comes, and show it while it is short."""
        pieces: queue.Queue[bytes] = queue.Queue()
        threading.Thread(target=_pump, args=(child, pieces), daemon=True).start()
        seen = b""
        while piece := self._next_piece(pieces):
            if len(seen) > OUTPUT_LIMIT:
                continue
            seen += piece
            if len(seen) <= PARTIAL_LIMIT:
                say("output", id=call, output=seen.decode(errors="replace"), partial=True)
        child.wait()
        yield seen[:OUTPUT_LIMIT].decode(errors="replace")
        if len(seen) > OUTPUT_LIMIT:
            yield f"\n… cut after {OUTPUT_LIMIT // 1024} KiB"

    def _next_piece(self, pieces: queue.Queue[bytes]) -> bytes:
        while True:
            try:
                return pieces.get(timeout=0.05)
            except queue.Empty:
                self.pause(0)


def _pump(child: subprocess.Popen[bytes], pieces: queue.Queue[bytes]) -> None:
    assert child.stdout is not None
    while piece := os.read(child.stdout.fileno(), 65536):
        pieces.put(piece)
    pieces.put(b"")


def end_group(child: subprocess.Popen[bytes]) -> None:
    """End a command and its descendants: they are in our own process group."""
    if os.name == "posix" and os.getpgrp() == os.getpid():
        # The signal reaches this process, too.
        before = signal.signal(signal.SIGTERM, signal.SIG_IGN)
        os.killpg(0, signal.SIGTERM)
        signal.signal(signal.SIGTERM, before)
    else:
        child.terminate()
    try:
        child.wait(1)
    except subprocess.TimeoutExpired:
        child.kill()


def say(kind: str, **fields: Any) -> None:
    """Write one line and flush it."""
    line = json.dumps({"type": kind, **fields}, ensure_ascii=False) + "\n"
    with SAYING:
        sys.stdout.write(line)
        sys.stdout.flush()


def count(agent: Agent, found: re.Match[str], order: dict[str, Any]) -> None:
    word = found["n"].lower()
    last = min(int(word) if word.isdigit() else WORDS.get(word, 10), 10_000)
    pace = int(found["ms"]) / 1000 if found["ms"] else PACE if found["slowly"] else 0
    for n in range(1, last + 1):
        say("text", delta=f"{n}, " if n < last else f"{n}")
        if n < last:
            agent.pause(pace)


def resume(agent: Agent, found: re.Match[str], order: dict[str, Any]) -> None:
    """Repeat the questions that were open when the program was killed from outside."""
    for call in json.loads(found["calls"]):
        agent.type_out("I was started again, so I ask once more.")
        agent.call(str(call.get("input", {}).get("command", HARMLESS)), ask=True)


def run(agent: Agent, found: re.Match[str], order: dict[str, Any]) -> None:
    command = found["command"].strip().strip("`")
    if order.get("mode") == "plan":
        agent.type_out(f"In plan mode I run nothing. I would run `{command}`.")
        return
    agent.type_out(f"I run `{command}`.")
    agent.call(command, ask=order.get("level") != "auto")


def ask(agent: Agent, found: re.Match[str], order: dict[str, Any]) -> None:
    if order.get("mode") == "plan":
        agent.type_out("In plan mode I run nothing, so there is nothing to ask.")
        return
    agent.type_out("May I run a harmless command?")
    agent.call(HARMLESS, ask=True)


def background(agent: Agent, found: re.Match[str], order: dict[str, Any]) -> None:
    command = found["command"].strip().strip("`")
    if order.get("mode") == "plan":
        agent.type_out(f"In plan mode I run nothing. I would run `{command}`.")
        return
    agent.start(command)
    agent.type_out(f"I run `{command}` in the background, and tell you when it has ended.")


def report(agent: Agent, found: re.Match[str], order: dict[str, Any]) -> None:
    """Played when a command in the background has ended."""
    words = "went well" if found["code"] == "0" else f"failed with exit code {found['code']}"
    agent.type_out(f"`{order['command']}` has ended. It {words}.")
    if then := re.search(r"# then (?P<then>.+)", order["command"]):
        agent.type_out(" Now I go on. ")
        order["prompt"] = then["then"]
        agent.follow(order)


def think(agent: Agent, found: re.Match[str], order: dict[str, Any]) -> None:
    agent.type_out("The message has the word think in it.\n\n", "thinking")
    agent.type_out("So I show what thinking looks like, a few words at a time.", "thinking")
    agent.type_out("I thought about it, and then I answered.")


def fail(agent: Agent, found: re.Match[str], order: dict[str, Any]) -> None:
    agent.type_out("This will not end well.")
    say("error", message="The demo failed, as it was told to.")


def crash(agent: Agent, found: re.Match[str], order: dict[str, Any]) -> None:
    agent.type_out("I am about to break.")
    sys.stderr.write("demo agent: crashed, as it was told to\n")
    sys.stderr.flush()
    os._exit(3)


def ticks(agent: Agent, found: re.Match[str], order: dict[str, Any]) -> None:
    """For benchmarks: each delta is the time at which it was written."""
    number, gap = int(found["n"]), int(found["ms"]) / 1000
    due = time.monotonic()
    for _ in range(number):
        say("text", delta=f"{time.monotonic_ns()},")
        due += gap
        if (wait := due - time.monotonic()) > 0:
            agent.pause(wait)


def big(agent: Agent, found: re.Match[str], order: dict[str, Any]) -> None:
    say("text", delta="x" * min(int(found["n"]), LARGEST))


Script = Callable[[Agent, "re.Match[str]", dict[str, Any]], None]

SCRIPTS: list[tuple[re.Pattern[str], Script]] = [
    (re.compile(pattern, re.IGNORECASE), play)
    for pattern, play in (
        (r"^\(Your program was ended from outside.*?\)\n(?P<calls>\[.*\])$", resume),
        (r"^\s*background (?P<command>\S.*)", background),
        (r"^report (?P<code>-?\d+)$", report),
        (r"\bcount (?P<slowly>slowly )?to (?P<n>\w+)(?: every (?P<ms>\d+) ?ms)?", count),
        (r"\bticks (?P<n>\d+) (?P<ms>\d+)", ticks),
        (r"\bbig (?P<n>\d+)", big),
        (r"^\s*run (?P<command>\S.*)", run),
        (r"\b(ask|approve)\b", ask),
        (r"\bthink\b", think),
        (r"^\s*crash\b", crash),
        (r"\bfail\b", fail),
    )
]


def main(argv: list[str]) -> None:
    resumed = argv[argv.index("--resume") + 1] if "--resume" in argv[:-1] else ""
    Agent(resumed or str(uuid.uuid4())).run()


if __name__ == "__main__":
    main(sys.argv[1:])
