"""Every component's file is part of one stylesheet: the page's, or the work panel's."""

from pathlib import Path

from mesh.pages import stylesheet

FOLDER = Path(stylesheet.__file__).parents[1] / "static/mesh/css"


def test_every_css_file_is_named_once():
    files = {path.stem for path in FOLDER.glob("*.css")} - {"admin-sandboxes"}  # not our pages'

    assert sorted(stylesheet.PIECES + stylesheet.PANEL_PIECES) == sorted(files)


def test_the_digest_names_the_content():
    for sheet, pieces in (
        (stylesheet.current(), stylesheet.PIECES),
        (stylesheet.of_panel(), stylesheet.PANEL_PIECES),
    ):
        assert len(sheet.digest) == 16
        assert all((FOLDER / f"{name}.css").read_bytes() in sheet.plain for name in pieces)
