import pytest

from links import services as links
from links.models import Link
from links.wire.messages import Registration
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


@pytest.fixture
def acme(agent):
    """An agent whose project is a repository."""
    agent.metadata = {
        "githubRepo": {"url": "https://github.com/acme/app", "owner": "acme", "name": "app"},
        "runtime": {"selected": "npm", "port": "3000"},
    }
    agent.save()
    return agent


def connect(user, machine_id="m1"):
    """Register a machine of the person's, and bring it online."""
    registration = Registration(
        machine_id=machine_id, cli_version="1.0.0", protocol_version=1, capabilities=()
    )
    links.register(user=user, registration=registration)
    link = Link.objects.get(user=user, machine_id=machine_id)
    links.claim(
        user=user,
        machine_id=machine_id,
        secret_fingerprint=link.secret_hash,
        connection_id=machine_id,
    )
    return link


@pytest.fixture(autouse=True)
def no_connection_is_left():
    yield
    database_pool.close()
