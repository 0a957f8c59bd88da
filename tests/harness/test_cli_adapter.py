"""What the adapters of real programs share."""

import pytest

from agents.harness.cli_adapter import crash


@pytest.mark.parametrize(
    ("code", "stderr", "sentence"),
    [
        (3, "", "Claude Code ended with exit code 3 in the middle of the answer."),
        (-9, "", "Claude Code ended by a signal in the middle of the answer."),
        (None, "", "Claude Code ended by a signal in the middle of the answer."),
        (
            1,
            "a\nb\n",
            "Claude Code ended with exit code 1 in the middle of the answer. Its last words: b",
        ),
    ],
)
def test_crash(code, stderr, sentence):
    assert crash("Claude Code", code, stderr) == ("harness_crashed", sentence)


def test_the_last_words_of_a_crash_have_no_colours():
    _, sentence = crash("Codex", 1, "first\n\x1b[31mERROR\x1b[0m out of luck\n")

    assert sentence.endswith("Its last words: ERROR out of luck")
