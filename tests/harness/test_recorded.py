"""Recordings of the real programs give the chunks they always gave."""

from __future__ import annotations

import pytest

from agents.harness import ADAPTERS
from tests.harness.driver import chunks_of
from tests.harness.scenarios import ALL, RECORDED, SCENARIOS, expected, folder_of, load, play
from tests.harness.shapes import check_turn


@pytest.mark.parametrize(("kind", "name"), ALL)
def test_the_chunks_are_as_before(kind, name):
    outs = play(ADAPTERS[kind](), SCENARIOS[kind][name], load(kind, name))

    check_turn(outs)
    assert chunks_of(outs) == expected(kind, name)


@pytest.mark.parametrize("kind", SCENARIOS)
def test_no_recording_without_a_scenario(kind):
    names = {path.name.split(".")[0] for path in folder_of(kind).iterdir()}

    assert names == set(SCENARIOS[kind])


def test_no_folder_without_a_kind():
    assert set(RECORDED.iterdir()) == {folder_of(kind) for kind in SCENARIOS}


@pytest.mark.parametrize(("kind", "name"), ALL)
def test_nothing_of_the_machine_was_recorded(kind, name):
    text = b"".join(load(kind, name))

    assert b"/tmp/" not in text
    assert b"/.tools/" not in text
