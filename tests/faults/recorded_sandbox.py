"""The real sandbox, whose demo agent writes down its lines: python recorded_sandbox.py FOLDER …"""

import sys
from pathlib import Path

from sandboxes.daemon import cli, programs

AGENT = Path(__file__).with_name("recorded_agent.py")


def find(env):
    return [sys.executable, "-P", str(AGENT), sys.argv[1]]


programs.PROGRAMS["mesh-demo-agent"] = find
sys.exit(cli.main(sys.argv[2:]))
