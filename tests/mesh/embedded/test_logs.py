import logging

import pytest

from mesh.embedded import logs


@pytest.fixture
def logger(tmp_path, capsys):  # capsys first: the handler takes stderr as it finds it
    logger = logging.Logger("mesh.test")
    logs.write_to(tmp_path / "log" / "server.log", logger=logger)
    yield logger
    for handler in logger.handlers:
        handler.close()


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
