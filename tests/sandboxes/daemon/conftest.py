from __future__ import annotations

import pytest

from tests.sandboxes.daemon.sandbox import Sandbox


@pytest.fixture
def make_sandbox(tmp_path):
    """Return ``make_sandbox(name, spec=…, env=…)``: a started sandbox, ended with the test."""
    made = []

    def make(name="sandbox", **options):
        made.append(Sandbox(tmp_path / name, **options).start())
        return made[-1]

    yield make
    for sandbox in made:
        sandbox.close()


@pytest.fixture
def sandbox(make_sandbox):
    return make_sandbox()
