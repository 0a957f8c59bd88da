import logging
from contextlib import contextmanager

from mesh.embedded import logs


@contextmanager
def logging_to(path):
    """A logger sent to ``path``; made in the test's body, where stderr is the one it reads."""
    logger = logging.Logger("mesh.test")
    logs.write_to(path, logger=logger)
    try:
        yield logger
    finally:
        for handler in logger.handlers:
            handler.close()


def test_the_file_has_the_traceback_and_the_terminal_one_line(tmp_path, capsys):
    path = tmp_path / "log" / "server.log"
    with logging_to(path) as logger:
        try:
            raise ValueError("deep down")
        except ValueError:
            logger.exception("It failed.")

    assert "deep down" in path.read_text()
    assert capsys.readouterr().err == f"Error: It failed. (more in {path})\n"


def test_what_is_no_error_stays_off_the_terminal(tmp_path, capsys):
    with logging_to(tmp_path / "server.log") as logger:
        logger.warning("Hm.")

    assert capsys.readouterr().err == ""
