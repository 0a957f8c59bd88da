import pytest

from links import services
from links.models import Link
from links.services import presence_events
from tests.links.services.machines import M1


@pytest.fixture
def registered(ada):
    """The registration of Ada's machine m1."""
    return services.register(user=ada, registration=M1)


@pytest.fixture
def link(registered):
    """The row of Ada's machine m1."""
    return Link.objects.select_related("user").get()


@pytest.fixture
def notified(monkeypatch):
    """The ids of the links whose subscribers were notified."""
    notified = []
    monkeypatch.setattr(presence_events, "presence_changed", [notified.append])
    return notified
