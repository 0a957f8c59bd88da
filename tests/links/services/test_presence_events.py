from links import services
from links.core.presence import Fact
from links.services import presence_events
from links.wire.messages import MachineStatus
from tests.links.services.machines import claim, presence


def test_every_change_notifies_after_the_commit(
    ada, registered, notified, django_capture_on_commit_callbacks
):
    with django_capture_on_commit_callbacks() as callbacks:
        link_id = claim(ada, "c1").link_id
        services.change_status(connection_id="c1", status=MachineStatus.parse({}))
        services.release(connection_id="c1", fact=Fact.BREAK)
    assert notified == []

    for callback in callbacks:
        callback()
    assert notified == [link_id] * 3


def test_a_subscriber_that_fails_changes_nothing(
    ada, registered, monkeypatch, django_capture_on_commit_callbacks
):
    def broken(link_id):
        raise RuntimeError

    monkeypatch.setattr(presence_events, "presence_changed", [broken])
    with django_capture_on_commit_callbacks(execute=True):
        claim(ada, "c1")

    assert presence(ada) == ("online", "")
