import pytest

from links.wire.names import is_handle, is_key


@pytest.mark.parametrize(
    ("value", "good"),
    [
        ("a", True),
        ("echo-1", True),
        ("a" * 63, True),
        ("a" * 64, False),
        ("", False),
        ("-a", False),
        ("a-", False),
        ("A", False),
        ("../x", False),
        ("a/b", False),
        ("a\n", False),
        (["a"], False),
        (None, False),
    ],
)
def test_is_handle(value, good):
    assert is_handle(value) is good


@pytest.mark.parametrize(
    ("branch", "good"),
    [
        ("ephemeral", True),
        ("thread:1", True),
        ("thread:", True),
        ("thread:1\n2", True),  # the sandbox once took this for a branch to check out
        ("main", False),
        ("threads", False),
        ("ephemeral/x", False),
        ("", False),
    ],
)
def test_is_key(branch, good):
    assert is_key(branch) is good
