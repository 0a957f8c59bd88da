"""What may name a sandbox, and what is no branch: the same at both ends."""

from __future__ import annotations

import pytest

from links.wire.names import is_handle, is_key
from sandboxes.core import handle
from sandboxes.daemon.spec import parse_spec


@pytest.mark.parametrize(
    ("value", "answer"),
    [
        ("main-0123456789abcdef", True),
        ("a", True),
        ("a" * 63, True),
        ("a" * 64, False),
        ("", False),
        ("-a", False),
        ("a-", False),
        ("../x", False),
        (["a"], False),
        ("A", False),
        ("a/b", False),
        ("a\n", False),
        ("١", False),
        (None, False),
    ],
)
def test_a_handle_is_a_label_of_a_host_name(value, answer):
    assert is_handle(value) is answer
    assert handle.is_handle is is_handle


@pytest.mark.parametrize(
    ("branch", "answer"),
    [
        ("ephemeral", True),
        ("thread:1", True),
        ("thread:a\nb", True),
        ("thread", False),
        ("main", False),
        ("ephemeral/x", False),
    ],
)
def test_a_key_is_checked_out_nowhere(branch, answer):
    assert is_key(branch) is answer
    assert handle.is_key is is_key
    assert parse_spec({"branch": branch}).branch == ("" if answer else branch)
