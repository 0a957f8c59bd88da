"""Our chunks in the forms of version 7 of the AI SDK."""

from threads.core.ai_sdk import Version7, parts_for_version_7

START = {"type": "start", "messageId": "m"}
STEP = {"type": "start-step"}
RESTARTED = {"type": "data-run-restarted", "data": {"attempt": 2}}
ASK = {"type": "tool-approval-request", "approvalId": "a", "toolCallId": "c"}
MESSAGE = {
    "id": "m-2",
    "parts": [{"type": "text", "text": "blue, please"}, {"type": "data-x", "data": {}}],
}
STEER = {"type": "data-steer", "id": "s", "data": {"message": MESSAGE}}
STEERING = {
    "type": "steering-message",
    "id": "s",
    "parts": [{"type": "text", "text": "blue, please"}],
}


def read(*chunks):
    version = Version7()
    return [new for chunk in chunks for new in version.translate(chunk)]


def answer(decision, **more):
    data = {"approvalId": "a", "toolCallId": "c", "decision": decision, **more}
    return {"type": "data-approval", "id": "a", "data": data}


def test_a_restart_in_the_first_step_takes_the_step_back():
    said = {"type": "text-start", "id": "t"}

    read_by_7 = read(START, STEP, said, RESTARTED, START, STEP, said)

    assert read_by_7 == [START, STEP, said, {"type": "reset-step"}, START, said]


def test_a_restart_after_earlier_steps_says_that_the_run_must_be_read_again():
    end = {"type": "finish-step"}

    read_by_7 = read(STEP, end, STEP, RESTARTED, STEP)

    assert read_by_7 == [STEP, end, STEP, {"type": "reset-step"}, RESTARTED, STEP]


def test_a_message_in_the_middle_of_an_answer_is_a_steering_message():
    assert read(STEER) == [STEERING]


def test_an_answer_given_elsewhere_answers_the_question_once():
    sent, applied = answer("deny", reason="no"), answer("deny", reason="no")
    response = {
        "type": "tool-approval-response",
        "approvalId": "a",
        "approved": False,
        "reason": "no",
    }

    assert read(ASK, answer(""), sent, applied) == [ASK, answer(""), sent, response, applied]


def test_an_answer_to_a_question_that_the_client_has_not_seen_stays_data():
    assert read(answer("allow")) == [answer("allow")]


def test_stored_parts_are_those_that_the_stream_makes():
    text = {"type": "text", "text": "so far", "state": "done"}

    assert parts_for_version_7([RESTARTED, text, STEER]) == [text, STEERING]
