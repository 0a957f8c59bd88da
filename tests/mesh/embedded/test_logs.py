import logging

import pytest

from mesh.embedded import logs


@pytest.fixture
def logger(tmp_path, capsys):  # capsys first: the handler takes stderr as it finds it
    """The root logger, sent to a file; as it was afterwards."""
    root = logging.getLogger()
    before = root.handlers[:]
    logs.write_to(tmp_path / "log" / "server.log")
    yield logging.getLogger("mesh.test")
    for handler in root.handlers:
        handler.close()
    root.handlers[:] = before


def test_the_file_has_the_traceback_and_the_terminal_one_line(logger, tmp_path, capsys):
    try:
        raise ValueError("deep down")
    except ValueError:
        logger.exception("It failed.")

    assert "deep down" in (tmp_path / "log" / "server.log").read_text()
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert said.startswith("Error: It failed. (more in ")


def test_what_is_no_error_stays_off_the_terminal(logger, capsys):
    logger.warning("Hm.")

    assert capsys.readouterr().err == ""
