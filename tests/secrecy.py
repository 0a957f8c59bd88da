"""No secret of the tests is in anything that the suite produces.

Every key and token that must stay secret has ``MARK`` in it. What a test prints and logs, and
what its clients are answered, is looked through as the suite runs; a running Mesh's folder and
output are, when it is ended (``tests/running.py``).
"""

from __future__ import annotations

from pathlib import Path

import pytest

MARK = "Zq7-never-shown"


def found_in(folder: Path) -> list[str]:
    """Return the files of ``folder`` in which a secret stands: databases, journals, logs."""
    mark = MARK.encode()
    return [
        str(path.relative_to(folder))
        for path in folder.rglob("*")
        if path.is_file() and not path.is_symlink() and mark in path.read_bytes()
    ]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    report = yield
    ours = [each for each in report.sections if each[0].endswith(f" {report.when}")]
    shown = [name for name, text in ours if MARK in text]
    if shown and report.passed:
        report.outcome = "failed"
        report.longrepr = f"A secret of the tests was shown: {', '.join(shown)}."
    return report


@pytest.fixture(autouse=True, scope="session")
def no_secret_is_answered():
    """Look through every answer that a test's client gets."""
    from django.test import AsyncClient, Client

    ask, ask_async = Client.request, AsyncClient.request

    def request(self, **environ):
        return looked_through(ask(self, **environ))

    async def request_async(self, **environ):
        return looked_through(await ask_async(self, **environ))

    Client.request, AsyncClient.request = request, request_async
    yield
    Client.request, AsyncClient.request = ask, ask_async


def looked_through(answer):
    """Return an answer in which there is no secret."""
    told = str(answer.headers).encode() + (b"" if answer.streaming else answer.content)
    assert MARK.encode() not in told, "A secret of the tests was answered."
    return answer
