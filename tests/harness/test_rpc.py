from __future__ import annotations

import json

import pytest

from agents.harness.rpc import Rpc, id_of


def test_requests_are_numbered_and_their_answers_known_once():
    rpc = Rpc({"jsonrpc": "2.0"})
    line = json.loads(rpc.request("hello", {"a": 1}).line)

    assert line == {"jsonrpc": "2.0", "id": 1, "method": "hello", "params": {"a": 1}}
    assert rpc.take({"id": 1, "result": {}}) == "hello"
    assert rpc.take({"id": 1, "result": {}}) == ""


def test_after_the_programs_end_no_answer_is_expected():
    rpc = Rpc()
    rpc.request("hello", {})
    rpc.forget()

    assert rpc.take({"id": 1, "result": {}}) == ""


@pytest.mark.parametrize(
    ("message", "request_id"),
    [
        ({"id": 0, "method": "m"}, 0),
        ({"id": "a", "method": "m"}, "a"),
        ({"id": 1, "result": {}}, None),
        ({"method": "m"}, None),
        ({"id": True, "method": "m"}, None),
        ({"id": [1], "method": "m"}, None),
        ({"id": 1, "method": 2}, None),
    ],
)
def test_what_is_a_request_of_theirs(message, request_id):
    assert id_of(message) == request_id
