"""Odd entries of a history become such as every provider accepts.

That a whole request does is tested with any history in
``tests/threads/decopilot/test_any_history.py``.
"""

import pytest

from agents.harness.decopilot.memory import Call, Image, Reply, System, User
from agents.harness.decopilot.valid_turns import valid

HI = User(("hi",))
LAST = User(("last",))
PICTURE = Image("image/png", b"png")


def call(call_id="c1", name="bash", input=None, output="out"):
    return Call(call_id, name, input or {}, output, "success")


@pytest.mark.parametrize(
    ("turns", "expected"),
    [
        pytest.param([HI, Reply("yes"), LAST], [HI, Reply("yes"), LAST], id="nothing odd"),
        pytest.param([HI, LAST], [User(("hi", "last"))], id="two messages become one"),
        pytest.param([Reply("yes"), LAST], [LAST], id="an answer without its question"),
        pytest.param([HI, System("be kind")], [System("be kind"), HI], id="instructions first"),
        pytest.param([User((" ", "hi", ""))], [HI], id="blank texts"),
        pytest.param([User((" ",))], [User(("(empty)",))], id="nothing but blanks"),
        pytest.param([User((PICTURE,))], [User((PICTURE,))], id="a picture alone"),
        pytest.param([HI, Reply(""), LAST], [User(("hi", "last"))], id="an empty answer"),
        pytest.param(
            [HI, Reply("a"), Reply("b"), LAST], [HI, Reply("a\n\nb"), LAST], id="two texts"
        ),
        pytest.param([HI, Reply("a")], [HI, Reply("a"), User(("(empty)",))], id="an answer last"),
        pytest.param(
            [HI, Reply("", (call(),))], [HI, Reply("", (call(),))], id="results last, to go on from"
        ),
        pytest.param([], [User(("(empty)",))], id="nothing"),
    ],
)
def test_turns(turns, expected):
    assert valid(turns) == expected


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        pytest.param(call(output=" "), call(output="(no output)"), id="no output"),
        pytest.param(call(output="a\ud800\0"), call(output="a\ufffd\ufffd"), id="odd characters"),
        pytest.param(call(name="a.b/c"), call(name="_a_b_c"), id="a name"),
        pytest.param(
            call(input={"a\0": [float("nan"), "\ud800"]}),
            call(input={"a\ufffd": [None, "\ufffd"]}),
            id="an input",
        ),
    ],
)
def test_calls(given, expected):
    assert valid([HI, Reply("", (given,))]) == [HI, Reply("", (expected,))]


@pytest.mark.parametrize("call_id", ["functions.bash:0", "c" * 41, "", "call|fc_1"])
def test_a_call_keeps_one_id_that_all_providers_accept(call_id):
    _, reply, _ = valid([HI, Reply("", (call(call_id), call("c1"), call("c1"))), LAST])

    ids = [each.call_id for each in reply.calls]
    assert ids[1] == "c1"
    assert len(set(ids)) == 3
    assert all(each.replace("_", "").isalnum() and len(each) <= 40 for each in ids)
