"""The real sandbox, whose demo agent writes down its lines: python recorded_sandbox.py FOLDER …"""

import sys
import time
from functools import partial
from pathlib import Path

from sandboxes.daemon import app, cli, programs
from sandboxes.daemon.guard import SignatureGuard

AGENT = Path(__file__).with_name("recorded_agent.py")
AHEAD = Path(sys.argv[1]).parent / "ahead"  # of the laptop's clock, in seconds


def wall():
    return time.time() + (float(AHEAD.read_text()) if AHEAD.exists() else 0)


app.SignatureGuard = partial(SignatureGuard, clock=wall)


def find(env):
    return [sys.executable, "-P", str(AGENT), sys.argv[1]]


programs.PROGRAMS["mesh-demo-agent"] = find
sys.exit(cli.main(sys.argv[2:]))
