"""The program that the tests' harnesses drive: reads JSON lines, obeys, prints JSON lines.

Each line of stdin is a list of steps, such as ``["say", "hello"]``. Run by path: stdlib only.
"""

import json
import os
import signal
import subprocess
import sys
import threading
import time


def show(**line):
    sys.stdout.buffer.write(json.dumps(line).encode() + b"\n")
    sys.stdout.buffer.flush()


def say(text):
    show(text=text)


def count(upto):
    for number in range(1, upto + 1):
        show(text=f"{number} ")


def notes(number):
    """Print lines that can't be joined."""
    for index in range(number):
        show(note=index)


def slowly(upto):
    for number in range(1, upto + 1):
        show(text=f"{number} ")
        time.sleep(0.01)


def ticks(number, ms):
    for _ in range(number):
        show(text=f"{time.monotonic_ns()},")
        time.sleep(ms / 1000)


def big(size):
    show(text="x" * size)


def split(text):
    """Write the line in two pieces that part a character."""
    raw = json.dumps({"text": text}, ensure_ascii=False).encode() + b"\n"
    middle = next(i for i, byte in enumerate(raw) if byte & 0xC0 == 0x80)
    for piece in (raw[:middle], raw[middle:]):
        sys.stdout.buffer.write(piece)
        sys.stdout.buffer.flush()
        time.sleep(0.05)


def env():
    show(text=json.dumps(dict(os.environ)))


def where():
    show(text=os.getcwd())


def pid():
    show(text=f"{os.getpid()} ")


def ask(question):
    show(ask=question)
    answer = json.loads(sys.stdin.readline())
    said = " ".join(f"{asked}={given}" for asked, given in answer["answers"].items())
    show(text=" ".join(filter(None, [f"{question}:", answer["decision"], answer["reason"], said])))


def grandchild():
    """Start a process that keeps our stdout open and hears no SIGTERM."""
    code = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(600)"
    show(text=f"{subprocess.Popen([sys.executable, '-c', code]).pid} ")


def escape(how):
    """Start a process that leaves our group: ``attached`` to us, or an ``orphan``, or a ``hidden``
    one, which has no environment either; tell its pid. A ``grouped`` one stays in our group, a
    ``cleared`` one is attached and has no environment.
    """
    code = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(flush=True);"
    argv = [sys.executable, "-c", code + "time.sleep(600)"]
    options = {"stdout": subprocess.PIPE, "start_new_session": True}
    if how == "grouped":
        options["start_new_session"] = False
    if how in ("hidden", "cleared"):
        options["env"] = {}
    if how in ("attached", "grouped", "cleared"):
        escaped = subprocess.Popen(argv, **options)
        escaped.stdout.readline()
        show(text=f"{escaped.pid} ")
        return
    read, write = os.pipe()
    if (middle := os.fork()) == 0:  # whose end makes an orphan of the other
        escaped = subprocess.Popen(argv, **options)
        escaped.stdout.readline()
        os.write(write, f"{escaped.pid} ".encode())
        os._exit(0)
    os.waitpid(middle, 0)
    show(text=os.read(read, 100).decode())


def call():
    """Tell that a tool is called."""
    show(call="c1")


def silence():
    """Read everything and write nothing until stdin is closed."""
    for _ in sys.stdin:
        pass


def forever():
    """Outlive even the parent process."""
    while True:
        signal.pause()


def crash(code, last_words):
    sys.stderr.write(last_words)
    sys.stderr.flush()
    os._exit(code)


def end_and_die():
    """End the turn, and be killed in the same moment."""
    show(end=True)
    os.kill(os.getpid(), signal.SIGKILL)


def crash_once(path):
    """Crash, but not where there is a file, which is made."""
    if not os.path.exists(path):
        open(path, "w").close()
        crash(1, "")


def until_told():
    """Work until a line comes: what a polite program does about an interrupt."""
    sys.stdin.readline()
    show(stopped=True)


def make(path):
    """Make an empty file."""
    open(path, "w").close()


def wait_for(path):
    """Work until there is a file."""
    while not os.path.exists(path):
        time.sleep(0.01)


def later(path, text):
    """Say something by itself, outside of any turn, once there is a file."""

    def wait():
        wait_for(path)
        show(text=text)
        show(end=True)

    threading.Thread(target=wait, daemon=True).start()


def main():
    if "--deaf" in sys.argv:
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
    for line in sys.stdin:
        steps = json.loads(line)
        if not isinstance(steps, list):
            continue
        for name, *arguments in steps:
            globals()[name](*arguments)
        show(end=True)


main()
