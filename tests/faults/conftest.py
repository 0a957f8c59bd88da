"""A laptop whose connection to the server can be cut."""

import pytest

from tests.faults.laptop import Laptop
from tests.faults.relay import Relay


@pytest.fixture
def relay(breakable):
    with Relay(breakable.port) as relay:
        yield relay


@pytest.fixture
def laptop(breakable, relay, tmp_path):
    made = Laptop(tmp_path / "laptop", server=relay.url, token=breakable.token)
    yield made.start()
    made.close()
