from __future__ import annotations

import base64

import pytest

from agents.harness.answer import AnswerBuilder
from agents.harness.pictures import PICTURE_LIMIT, TURN_LIMIT, Gallery, Picture, picture_of
from tests.harness.driver import chunks_of, one
from tests.harness.shapes import check_turn


def picture(size: int = 3, media_type: str = "image/png") -> Picture:
    return Picture(media_type, base64.b64encode(b"x" * size).decode())


def test_a_result_with_pictures_is_text_and_pictures():
    answer = AnswerBuilder("run-1")
    answer.start()
    answer.call_input("c", "Read", {})

    answer.result("c", "One pixel.", pictures=[picture()])
    answer.finish("stop")

    outs = answer.take()
    check_turn(outs)
    assert one(chunks_of(outs), "tool-output-available")["output"] == {
        "text": "One pixel.",
        "pictures": [{"mediaType": "image/png", "data": "eHh4"}],
    }


def test_without_pictures_the_output_stays_text():
    assert Gallery().output("Only words.", []) == "Only words."


@pytest.mark.parametrize(
    ("refused", "why"),
    [
        pytest.param(picture(PICTURE_LIMIT + 1), "larger than 1 MiB", id="too large"),
        pytest.param(picture(media_type="image/svg+xml"), "its type is unknown", id="SVG"),
        pytest.param(picture(media_type="text/html"), "its type is unknown", id="no picture"),
    ],
)
def test_a_picture_that_is_not_kept_becomes_a_sentence(refused, why):
    output = Gallery().output("Read it.", [refused])

    assert output.startswith("Read it.\n[A picture is not shown: ")
    assert why in output


def test_all_pictures_of_a_turn_have_one_limit():
    gallery = Gallery()
    largest = picture(PICTURE_LIMIT)
    for _ in range(TURN_LIMIT // PICTURE_LIMIT):
        assert gallery.output("", [largest])["pictures"]

    assert "already has 4 MiB" in gallery.output("", [picture()])


@pytest.mark.parametrize(
    ("media_type", "data"),
    [
        pytest.param(None, "eHh4", id="no type"),
        pytest.param("image/png", None, id="no data"),
        pytest.param("image/png", "", id="empty"),
        pytest.param("image/png", {"x": 1}, id="not text"),
    ],
)
def test_values_that_are_no_picture(media_type, data):
    assert picture_of(media_type, data) is None
