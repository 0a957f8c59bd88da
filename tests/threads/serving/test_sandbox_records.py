from types import SimpleNamespace

import pytest
from django.db import IntegrityError, InterfaceError, OperationalError

from mesh import database_pool
from threads.serving.sandbox_records import note_sandbox


@pytest.mark.parametrize("error", [OperationalError, InterfaceError, IntegrityError])
async def test_that_a_sandbox_can_not_be_recorded_is_only_logged(error, monkeypatch, caplog):
    def broken(place):
        raise error("the database is away")

    monkeypatch.setattr("threads.serving.sandbox_records.note_used", broken)

    await note_sandbox(SimpleNamespace(handle="h1"))

    assert "h1" in caplog.text
    database_pool.close()
