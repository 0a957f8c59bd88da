from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from threads.core.background import ThreadBackground, is_stricter, read_state, read_tasks

THREAD, RUN = str(uuid4()), str(uuid4())
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


def state_with(**thread):
    return read_state({"threads": {THREAD: thread}})


def test_a_task_is_read_with_its_words_on_one_line():
    task = {"id": "b1", "title": " npm\n test ", "kind": "command", "startedAt": 5.0, "more": 1}

    assert read_tasks([task]) == (
        {"id": "b1", "title": "npm test", "kind": "command", "startedAt": 5.0},
    )


@pytest.mark.parametrize(
    "task",
    [
        pytest.param("b1", id="no object"),
        pytest.param({"title": "x"}, id="no id"),
        pytest.param({"id": "../runs/1", "title": "x"}, id="an id that leads elsewhere"),
        pytest.param({"id": "..", "title": "x"}, id="an id of dots"),
        pytest.param({"id": "x" * 101}, id="a long id"),
    ],
)
def test_a_task_that_could_not_be_named_is_dropped(task):
    assert read_tasks([task]) == ()


def test_there_is_a_limit_to_tasks_and_titles():
    tasks = read_tasks([{"id": str(n), "title": "x" * 1000} for n in range(200)])

    assert (len(tasks), len(tasks[0]["title"])) == (100, 300)


def test_a_title_is_what_the_database_keeps():
    (task,) = read_tasks([{"id": "b1", "title": "a\0b\ud800"}])

    assert task["title"] == "a\ufffdb\ufffd"


def test_an_unasked_run_is_read():
    (found,) = state_with(
        runs=[{"runId": RUN, "fence": 1, "reason": "It ended.", "doneN": 7}]
    ).values()

    (run,) = found.runs
    assert (str(run.id), run.reason, run.done_n) == (RUN, "It ended.", 7)


@pytest.mark.parametrize(
    "run",
    [
        pytest.param({"runId": "1", "fence": 1}, id="no id"),
        pytest.param({"runId": RUN, "fence": 2}, id="an attempt of the server's"),
        pytest.param([], id="no object"),
    ],
)
def test_a_run_that_could_not_be_followed_is_dropped(run):
    assert list(state_with(runs=[run]).values()) == [ThreadBackground()]


@given(ANYTHING)
def test_whatever_a_sandbox_tells_can_be_read(value):
    read_state(value)
    read_state({"threads": value})
    state_with(tasks=value, runs=value)
    state_with(tasks=[value], runs=[value])


@pytest.mark.parametrize(
    ("level", "than", "expected"),
    [
        pytest.param("plan", "auto", True, id="plan only asks more than auto"),
        pytest.param("readonly", "auto", True, id="ask before edit, too"),
        pytest.param("auto", "readonly", False, id="auto asks less"),
        pytest.param("auto", "auto", False, id="the same"),
        pytest.param("", "auto", False, id="no level"),
    ],
)
def test_which_level_asks_more(level, than, expected):
    assert is_stricter(level, than) is expected
