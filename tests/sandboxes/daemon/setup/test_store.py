"""What is read of the files that keep a project's configuration, whatever stands in them."""

import pytest

from sandboxes.daemon.setup.store import CHOICE, load_choice, save


def test_a_chosen_port_is_read_again(tmp_path):
    save(tmp_path, CHOICE, '{"port": 5173}')

    assert load_choice(tmp_path) == 5173


@pytest.mark.parametrize(
    "text", [None, "", "{", "[]", "5173", '{"port": null}', '{"port": true}', '{"port": 65536}']
)
def test_nothing_else_is_a_choice(tmp_path, text):
    if text is not None:
        save(tmp_path, CHOICE, text)

    assert load_choice(tmp_path) is None
