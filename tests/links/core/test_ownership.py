from uuid import uuid4

import pytest

from links.core.ownership import Close, Hold, Row, judge

LINK = uuid4()
OURS = Hold(LINK, "c1", "secret-1")


@pytest.mark.parametrize(
    ("row", "verdict"),
    [
        pytest.param(Row("c1", "secret-1", ""), "keep", id="ours"),
        pytest.param(Row("c1", "secret-2", ""), "keep", id="ours, and about to register"),
        pytest.param(Row("c2", "secret-1", ""), Close(4001, "superseded"), id="taken over"),
        pytest.param(None, Close(4404, "no_link"), id="removed"),
        pytest.param(Row("", "secret-2", "signed_out"), Close(4403, "signed_out"), id="revoked"),
        pytest.param(Row("c1", "secret-1", "signed_out"), Close(4403, "signed_out"), id="at once"),
        pytest.param(
            Row("", "secret-2", "disconnected"), Close(4404, "secret_rotated"), id="rotated"
        ),
        pytest.param(
            Row("", "secret-1", "disconnected"), Close(1012, "disconnected"), id="disconnected"
        ),
        pytest.param(Row("", "secret-1", "stopped"), Close(1000, "stopped"), id="stopped"),
        pytest.param(Row("", "secret-1", "asleep"), "reclaim", id="expired"),
        pytest.param(Row("", "secret-1", "server_restarted"), "reclaim", id="taken for dead"),
    ],
)
def test_what_the_row_says_is_done(row, verdict):
    assert judge(OURS, row) == verdict
