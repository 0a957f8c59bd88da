"""Requests that are merely refused leave one line in the log; failures of ours leave all."""

import io
import logging

import pytest
from django.conf import settings
from django.test import Client

from mesh.embedded import logs
from mesh.log_filters import OneLine

PARTS = "multipart/form-data; boundary=b"


@pytest.fixture
def log():
    """What Django's loggers write through a handler with the filter."""
    written = io.StringIO()
    handler = logging.StreamHandler(written)
    handler.addFilter(OneLine())
    handler.setFormatter(logging.Formatter("%(levelname)s %(message)s"))
    logging.getLogger("django").addHandler(handler)
    yield written
    logging.getLogger("django").removeHandler(handler)


@pytest.mark.parametrize(
    "odd",
    [
        pytest.param({"HTTP_HOST": "evil.example"}, id="another host"),
        pytest.param({"data": "--b", "content_type": "multipart/form-data"}, id="no boundary"),
        pytest.param(
            {"data": b"a=&" * 3000, "content_type": "application/x-www-form-urlencoded"}, id="form"
        ),
        pytest.param({"data": b"--b\r\n\r\n" * 3000, "content_type": PARTS}, id="many parts"),
    ],
)
def test_a_refused_request_is_one_line_of_warning(db, log, odd):
    Client().post("/accounts/login/", **odd)

    written = log.getvalue()
    assert "Traceback" not in written
    assert {line.split()[0] for line in written.splitlines()} <= {"WARNING"}


def test_a_failure_of_ours_keeps_its_traceback(log):
    try:
        raise RuntimeError("ours")
    except RuntimeError:
        logging.getLogger("django.request").exception("failed", extra={"status_code": 500})

    assert "RuntimeError: ours" in log.getvalue()


def test_both_ways_to_run_mesh_write_through_the_filter(tmp_path):
    logger = logging.getLogger("tests.embedded")
    logs.write_to(tmp_path / "server.log", logger=logger)

    for handler in logger.handlers:
        assert any(isinstance(one, OneLine) for one in handler.filters)
        handler.close()
    assert settings.LOGGING["handlers"]["stderr"]["filters"] == ["one_line"]
