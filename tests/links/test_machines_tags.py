"""A machine's chip knows every cause."""

from links.core.presence import SENTENCES
from links.templatetags.machines import _CAUSES


def test_every_cause_has_words_for_the_chip_and_a_sentence():
    assert _CAUSES.keys() == SENTENCES.keys()
