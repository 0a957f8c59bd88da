"""The demo agent, writing down what it gets and what it says: python recorded_agent.py FOLDER …

It knows one thing more: "pieces N MS" says N short texts and thoughts in turn. No two of them
can be joined on their way, so each brings three events. With a file FOLDER/allowed it says no
more pieces than the number in it.
"""

import re
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
from agents import demo_agent  # an agent's environment has no path to us

FOLDER = Path(sys.argv[1])


class Recorded:
    """A stream whose lines are written down as they pass."""

    def __init__(self, stream, path):
        self._stream, self._file = stream, path.open("ab", buffering=0)
        self.buffer = self

    def __iter__(self):
        for line in self._stream:
            self._file.write(line)
            yield line

    def write(self, text):
        self._file.write(text.encode())
        self._stream.write(text)

    def flush(self):
        self._stream.flush()


def allowed():
    path = FOLDER / "allowed"
    return int(path.read_text()) if path.exists() else sys.maxsize


def pieces(agent, found, order):
    most = allowed()
    for n in range(1, int(found["n"]) + 1):
        while n > most:
            agent.pause(0.01)
            most = allowed()
        demo_agent.say("text" if n % 2 else "thinking", delta=f"{n}-ä🙂 ")
        agent.pause(int(found["ms"]) / 1000)


demo_agent.SCRIPTS.insert(0, (re.compile(r"pieces (?P<n>\d+) (?P<ms>\d+)"), pieces))
sys.stdin = Recorded(sys.stdin.buffer, FOLDER / "got.jsonl")
sys.stdout = Recorded(sys.stdout, FOLDER / "said.jsonl")
demo_agent.main(sys.argv[2:])
