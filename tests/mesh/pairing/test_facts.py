"""What a machine says of itself is shown to a person: it must not be able to lie by form."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mesh.pairing.facts import Facts

FIELDS = ("hostname", "platform", "machine_id", "version")


def test_an_honest_machine():
    form = {"hostname": "mbp", "platform": "Darwin arm64", "machine_id": "0af3", "version": "1"}

    assert Facts.parse(form) == Facts(**form)


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        pytest.param("  a \n b\t", "a b", id="one line"),
        pytest.param("mbp\x1b[2J", "mbp [2J", id="a terminal's command"),
        pytest.param("gpj\u202exe", "gpj xe", id="text turned around"),
        pytest.param("a\u200bb", "a b", id="a letter of no width"),
        pytest.param("x" * 300, "x" * 64, id="too long"),
        pytest.param("Jürgens Büro", "Jürgens Büro", id="other letters"),
    ],
)
def test_a_name_is_shown_plainly(said, shown):
    assert Facts.parse({"hostname": said}).hostname == shown


@pytest.mark.parametrize("said", ["", "a b", "../x", "a" * 65, "ä"])
def test_an_odd_machine_id_is_none(said):
    assert Facts.parse({"machine_id": said}).machine_id == ""


@given(st.dictionaries(st.sampled_from(FIELDS), st.text()))
def test_whatever_is_said_is_short_and_printable(form):
    facts = Facts.parse(form)

    for name, most in zip(FIELDS, (64, 40, 64, 40), strict=True):
        value = getattr(facts, name)
        assert value.isprintable()
        assert len(value) <= most
        assert value == value.strip()
