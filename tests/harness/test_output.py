from __future__ import annotations

from agents.harness.output import TAIL_LIMIT, GrowingOutput


def test_the_first_piece_is_shown_at_once():
    assert GrowingOutput().add("one\n") == "one\n"


def test_all_showings_together_are_a_small_multiple_of_the_output():
    output = GrowingOutput()

    shown = [text for n in range(20_000) if (text := output.add(f"line {n}\n")) is not None]

    assert sum(map(len, shown)) < 6 * len(output.whole)
    assert shown[-1].startswith("…")
    assert len(shown[-1]) == TAIL_LIMIT + 1
    assert output.whole.endswith("line 19999\n")


def test_a_program_that_tells_it_whole_each_time():
    output = GrowingOutput()

    assert output.replace("") is None
    assert output.replace("one\n") == "one\n"
    assert output.replace("one\n") is None
    assert output.replace("one\ntwo\n") == "one\ntwo\n"
