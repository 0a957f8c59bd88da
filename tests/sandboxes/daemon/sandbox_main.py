"""The real sandbox program, to which the tests' harnesses are added."""

import os
import sys

from agents import harness
from sandboxes.daemon import programs, service
from sandboxes.daemon.cli import main
from tests.sandboxes.daemon import harnesses

harness.OWN.update(harnesses.ADAPTERS)
programs.PROGRAMS["test-child"] = harnesses.find_child
service.CHECK_EVERY = float(os.environ.get("TEST_CHECK_EVERY", service.CHECK_EVERY))
sys.exit(main())
