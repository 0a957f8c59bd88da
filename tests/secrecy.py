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
    """Look through every answer that a test's client gets, and through what is signed: whoever
    holds a ticket, grant or invitation can read it."""
    from django.core import signing
    from django.test import AsyncClient, Client

    sign = signing.dumps

    def dumps(obj, *args, **options):
        assert MARK not in repr(obj), "A secret of the tests was signed, which hides nothing."
        return sign(obj, *args, **options)

    ask, ask_async = Client.request, AsyncClient.request

    def request(self, **environ):
        return looked_through(ask(self, **environ))

    async def request_async(self, **environ):
        return looked_through(await ask_async(self, **environ))

    Client.request, AsyncClient.request = request, request_async
    signing.dumps = dumps
    yield
    Client.request, AsyncClient.request = ask, ask_async
    signing.dumps = sign


@pytest.fixture(autouse=True, scope="session")
def no_secret_is_answered_by_a_preview():
    """Look through what is answered at the origins of previews."""
    from django.apps import apps

    if not apps.ready:  # this plugin's own tests have no settings
        yield
        return
    from sandboxes.preview.app import Previews

    serve = Previews.serve

    async def served(self, scope, receive, send, **options):
        async def sent(message):
            assert MARK.encode() not in repr(message).encode(), "A preview answers a secret."
            await send(message)

        await serve(self, scope, receive, sent, **options)

    Previews.serve = served
    yield
    Previews.serve = serve


def looked_through(answer):
    """Return an answer in which there is no secret."""
    told = str(answer.headers).encode() + (b"" if answer.streaming else answer.content)
    assert MARK.encode() not in told, "A secret of the tests was answered."
    return answer
