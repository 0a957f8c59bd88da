"""What the parts of ``make test`` leave out, and where they keep what is compiled."""

from __future__ import annotations

import pytest

from mesh import develop


@pytest.mark.parametrize("folder", develop.SLOW)
def test_a_folder_that_is_not_read_has_no_quick_test(folder):
    top = develop.ROOT / "tests" / folder
    conftest = (top / "conftest.py").read_text()

    assert "item.add_marker(pytest.mark." in conftest or all(
        "\npytestmark = " in path.read_text() for path in top.glob("test_*.py")
    )


@pytest.mark.parametrize(
    ("suite", "forbidden", "written"),
    [
        pytest.param("quick", "1", True, id="not beside the sources"),
        pytest.param("quick", "", False, id="beside the sources, as always"),
        pytest.param("programs", "1", False, id="the environment of programs is theirs"),
    ],
)
def test_what_is_compiled_is_kept(suite, forbidden, written, monkeypatch):
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", forbidden)
    monkeypatch.delenv("PYTHONPYCACHEPREFIX", raising=False)

    environ = develop._compiling_once(suite)

    prefix = str(develop.ROOT / "build" / "pycache")
    forced = {"PYTHONDONTWRITEBYTECODE": "", "PYTHONPYCACHEPREFIX": prefix}
    assert environ == (forced if written else {})
