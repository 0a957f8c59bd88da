"""Attached files are read from their bytes alone."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.pictures import picture
from threads.core.attachments import (
    IMAGE_LIMIT,
    NAME_LIMIT,
    TEXT,
    TEXT_LIMIT,
    TooLarge,
    Unsupported,
    id_in,
    name_of,
    read_file,
    sort_of,
)
from threads.core.pictures import KEPT, BadPicture

ID = "11111111-1111-4111-8111-111111111111"


@pytest.mark.parametrize(
    ("data", "media_type"),
    [
        pytest.param(picture("PNG"), "image/png", id="PNG"),
        pytest.param(picture("JPEG"), "image/jpeg", id="JPEG"),
        pytest.param(picture("GIF"), "image/png", id="GIF"),
        pytest.param("Grüße\n\tdir".encode(), "text/plain", id="text"),
        pytest.param(b"<html><script>alert(1)</script>", "text/plain", id="a page is text"),
        pytest.param(b"<svg xmlns='http://www.w3.org/2000/svg'/>", "text/plain", id="SVG is text"),
        pytest.param(b"\x1b[31mred\x1b[0m", "text/plain", id="colours of a terminal"),
    ],
)
def test_the_bytes_decide_the_media_type(data, media_type):
    assert read_file("a.bin", data).media_type == media_type


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"RIFF\n\x00\x00\x00WAVEfmt ", id="a sound"),
        pytest.param(b"%PDF-1.7\n\xe2\xe3\xcf\xd3", id="PDF"),
        pytest.param(b"PK\x03\x04\x14\x00", id="an archive"),
        pytest.param(b"caf\xe9", id="text of another encoding"),
        pytest.param(b"MZ\x90\x00", id="a program"),
    ],
)
def test_what_is_neither_picture_nor_text_is_refused(data):
    with pytest.raises(Unsupported):
        read_file("a.png", data)


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(picture("PNG") + bytes(IMAGE_LIMIT), id="a picture"),
        pytest.param(b"a" * (TEXT_LIMIT + 1), id="a text"),
    ],
)
def test_pictures_and_texts_have_their_own_limits(data):
    with pytest.raises(TooLarge):
        read_file("a", data)


def test_a_picture_is_named_by_what_is_stored():
    file = read_file("../IMG_1.HEIC", picture("HEIF", (3000, 2000)))

    assert (file.name, file.media_type) == ("IMG_1.jpg", "image/jpeg")
    assert (file.width, file.height) == (2000, 1333)
    assert "HEIC" in file.note


@given(st.binary(max_size=200))
def test_any_bytes_have_a_served_media_type_or_are_refused(data):
    try:
        assert read_file("a", data).media_type in (TEXT, *KEPT)
    except (Unsupported, BadPicture):
        pass


@pytest.mark.parametrize(
    ("given", "name"),
    [
        pytest.param("a.png", "a.png", id="plain"),
        pytest.param("../../etc/passwd", "passwd", id="folders"),
        pytest.param("C:\\fakepath\\shot.png", "shot.png", id="folders of Windows"),
        pytest.param("a\r\nSet-Cookie: x", "aSet-Cookie: x", id="line feeds"),
        pytest.param("gnp.\u202eexe", "gnp.exe", id="written backwards"),
        pytest.param("", "file", id="none"),
        pytest.param(None, "file", id="not even text"),
        pytest.param("x" * 500, "x" * NAME_LIMIT, id="long"),
    ],
)
def test_a_name_has_no_folders_and_no_control_characters(given, name):
    assert name_of(given) == name


@given(st.text())
def test_any_name_is_one_line_without_folders(given):
    name = name_of(given)

    assert name
    assert len(name) <= NAME_LIMIT
    assert not {"/", "\\", "\n", "\r", "\0"} & set(name)


@pytest.mark.parametrize(
    ("url", "is_known"),
    [
        pytest.param(f"/api/home/decopilot/files/{ID}", True, id="ours"),
        pytest.param(f"https://evil.example/api/home/decopilot/files/{ID}", False, id="elsewhere"),
        pytest.param(f"/api/home/decopilot/files/{ID}/../x", False, id="more behind it"),
        pytest.param(f"/api/home/decopilot/files/{'-' * 36}", False, id="no id"),
        pytest.param("data:,hi", False, id="data"),
        pytest.param(None, False, id="nothing"),
    ],
)
def test_a_stored_file_is_identified_by_its_address(url, is_known):
    assert (id_in(url) is not None) is is_known


def test_pictures_and_texts_are_of_different_sorts():
    assert (sort_of("image/png"), sort_of("text/plain")) == ("image", "text")
