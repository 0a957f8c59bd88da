"""How long the parts of a turn took."""

from agents.harness.stopwatch import Stopwatch

CALL = {"type": "tool-input-available", "toolCallId": "c", "toolName": "Bash", "input": {}}
RESULT = {"type": "tool-output-available", "toolCallId": "c", "output": "ok"}


def took(chunk):
    return chunk.get("providerMetadata", {}).get("mesh", {}).get("tookMs")


def test_a_tools_time_is_from_its_input_to_its_output():
    watch = Stopwatch()
    assert watch.timed(CALL, now=10.0) == CALL

    assert took(watch.timed(RESULT, now=12.5)) == 2500


def test_a_failure_takes_time_too():
    watch = Stopwatch()
    watch.timed(CALL, now=10.0)

    failed = {"type": "tool-output-error", "toolCallId": "c", "errorText": "no"}

    assert took(watch.timed(failed, now=10.25)) == 250


def test_what_grows_has_no_time_yet():
    watch = Stopwatch()
    watch.timed(CALL, now=0)

    assert took(watch.timed(RESULT | {"preliminary": True}, now=1)) is None
    assert took(watch.timed(RESULT, now=2)) == 2000


def test_waiting_for_a_person_is_not_the_tools_time():
    watch = Stopwatch()
    watch.timed(CALL, now=0)
    watch.allowed("c", now=60)

    assert took(watch.timed(RESULT, now=61)) == 1000


def test_a_thought():
    watch = Stopwatch()
    watch.timed({"type": "reasoning-start", "id": "r"}, now=1)

    assert took(watch.timed({"type": "reasoning-end", "id": "r"}, now=4)) == 3000


def test_other_metadata_stays():
    watch = Stopwatch()
    watch.timed(CALL, now=0)
    given = RESULT | {"providerMetadata": {"x": {"y": 1}, "mesh": {"z": 2}}}

    ended = watch.timed(given, now=1)

    assert ended["providerMetadata"] == {"x": {"y": 1}, "mesh": {"z": 2, "tookMs": 1000}}
    assert given["providerMetadata"]["mesh"] == {"z": 2}


def test_an_end_without_a_beginning_stays_as_it_is():
    assert Stopwatch().timed(RESULT, now=1) == RESULT


def test_a_call_that_is_shown_again_goes_on():
    watch = Stopwatch()
    watch.timed(CALL, now=0)
    watch.timed(CALL, now=1)

    assert took(watch.timed(RESULT, now=2)) == 2000
