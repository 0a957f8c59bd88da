import json

import pytest

from links.wire.errors import MalformedFrame
from links.wire.heads import AnswerHead, RequestHead, unpack_answer, unpack_request


def test_a_request_comes_through():
    head = RequestHead("GET", "/a?b=%2F", [("x", "é")], True)

    assert unpack_request(head.pack()) == head


def test_an_answer_comes_through():
    head = AnswerHead(418, [("content-type", "text/plain")])  # S57

    assert unpack_answer(head.pack()) == head


@pytest.mark.parametrize(
    "value",
    [
        pytest.param({}, id="empty"),
        pytest.param({"method": "GET", "target": "a"}, id="no path"),
        pytest.param({"method": 1, "target": "/"}, id="method is a number"),
        pytest.param({"method": "GET", "target": "/", "headers": {}}, id="headers are a map"),
        pytest.param({"method": "GET", "target": "/", "headers": [["a"]]}, id="half a header"),
        pytest.param({"method": "GET", "target": "/", "headers": [["a", 1]]}, id="value no text"),
    ],
)
def test_no_request(value):
    with pytest.raises(MalformedFrame):
        unpack_request(json.dumps(value).encode())


@pytest.mark.parametrize("status", [None, "200", 99, 600, True, 200.0])
def test_no_answer(status):
    with pytest.raises(MalformedFrame):
        unpack_answer(json.dumps({"status": status}).encode())
