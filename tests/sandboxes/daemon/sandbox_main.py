"""The real sandbox program, to which the tests' harnesses are added."""

import sys

from agents import harness
from sandboxes.daemon import programs
from sandboxes.daemon.cli import main
from tests.sandboxes.daemon import harnesses

harness.ADAPTERS.update(harnesses.ADAPTERS)
programs.PROGRAMS["test-child"] = harnesses.find_child
sys.exit(main())
