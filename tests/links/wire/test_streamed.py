import pytest

from links.wire.streamed import laptop_may_stream, sandbox_may_stream


@pytest.mark.parametrize(
    ("target", "may"),
    [
        ("/_sandbox/preview", True),
        ("/_sandbox/preview/", True),
        ("/_sandbox/preview/a/b?c", True),
        ("/_sandbox/preview?a", True),
        ("/_sandbox/previews", False),
        ("/_sandbox/preview-fetch", False),
        ("/_sandbox/dispatch", False),
        ("/_sandbox/dispatch?/_sandbox/preview/", False),
        ("/_sandbox/preview%2Fx", False),
        ("/_sandbox/h/preview/", False),
        ("/preview/", False),
        ("", False),
    ],
)
def test_a_sandbox_s_dev_server_alone(target, may):
    assert sandbox_may_stream(target) is may


@pytest.mark.parametrize(
    ("target", "may"),
    [
        ("/_sandbox/h-1/preview", True),
        ("/_sandbox/h-1/preview/x?y", True),
        ("/_sandbox/h-1/preview?y", True),
        ("/_sandbox/h-1/previews/x", False),
        ("/_sandbox/h-1/dispatch", False),
        ("/_sandbox//preview/x", False),
        ("/_sandbox/h-1/x/preview/", False),
        ("/_sandbox/preview/x", False),
        ("/api/sandboxes", False),
        ("/api/sandboxes?/_sandbox/h/preview/", False),
    ],
)
def test_on_a_laptop_the_sandbox_s_dev_server_alone(target, may):
    assert laptop_may_stream(target) is may
