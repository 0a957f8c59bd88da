"""Every component's file is part of the one stylesheet."""

from pathlib import Path

from mesh.pages import stylesheet

FOLDER = Path(stylesheet.__file__).parents[1] / "static/mesh/css"


def test_every_css_file_is_named_once():
    files = {path.stem for path in FOLDER.glob("*.css")} - {"admin-sandboxes"}  # not our pages'

    assert sorted(stylesheet.PIECES) == sorted(files)


def test_the_digest_names_the_content():
    sheet = stylesheet.current()

    assert len(sheet.digest) == 16
    assert all((FOLDER / f"{name}.css").read_bytes() in sheet.plain for name in stylesheet.PIECES)
