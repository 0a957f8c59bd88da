import pytest

from links import services
from links.core.ownership import Close, Hold
from links.core.presence import Fact
from tests.links.services.machines import connect, presence


@pytest.mark.parametrize(
    ("put_out", "close", "cause"),
    [
        (services.revoke, Close(4403, "signed_out"), "signed_out"),
        (services.rotate, Close(4404, "secret_rotated"), "disconnected"),
        (services.disconnect, Close(1012, "disconnected"), "disconnected"),
    ],
)
def test_a_machine_that_is_put_out_loses_its_socket(link, put_out, close, cause):
    claimed = connect(link)
    link.refresh_from_db()
    put_out(link=link)

    holds = [Hold(link.pk, "c1", claimed.fingerprint)]
    assert services.judge_holds(holds=holds) == {"c1": close}
    assert presence(link.user) == ("offline", cause)


def test_an_offline_machine_keeps_its_cause(link):
    connect(link)
    services.release(connection_id="c1", fact=Fact.GOODBYE)
    link.refresh_from_db()

    services.rotate(link=link)
    services.disconnect(link=link)

    assert presence(link.user) == ("offline", "stopped")
