import pytest

from mesh import database_pool
from tests.sandboxes.doubles import NotingProvider


@pytest.fixture
def provider(monkeypatch):
    """The provider of every kind."""
    provider = NotingProvider()
    use(monkeypatch, provider)
    return provider


def use(monkeypatch, provider):
    monkeypatch.setattr("sandboxes.providers.provider_for", lambda kind: provider)


@pytest.fixture(autouse=True)
def no_connection_is_left():
    yield
    database_pool.close()
