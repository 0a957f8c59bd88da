"""Said at A, answered on a laptop whose socket B holds, read at A."""

from tests.cluster.page import Page
from tests.faults.reader import assert_whole, parts_of
from tests.waiting import until

PIECES = 300


def deltas(reader):
    return parts_of(chunk for _, chunk in reader.seen)


def chunks(reader, kind):
    return [chunk for _, chunk in reader.seen if chunk["type"] == kind]


def test_the_text_arrives_while_it_is_written(chat):
    with (
        chat.reader() as reader,
        Page(chat.two.urls["A"], session=chat.two.session, thread=chat.id) as page,
    ):
        chat.say(f"pieces {PIECES} 10")
        for one in (reader, page):
            until(lambda one=one: deltas(one), what="the first piece")
        assert len(chat.laptop.said) < PIECES  # not only at the next look
        for one in (reader, page):
            until(lambda one=one: one.is_done, what="the end")

    assert_whole(reader.seen, chat.laptop.said)
    assert page.seen == reader.seen


def test_a_stop_at_the_other_process(chat):
    with chat.reader() as reader:
        chat.say("count slowly to a hundred")
        until(lambda: deltas(reader), what="the first piece")

        told = chat.post(f"/cancel/{chat.id}").json()
        assert (told["cancelled"], told["async"]) == (True, True)

        until(lambda: reader.is_done, what="the end")
    assert chat.get()["status"] == "cancelled"
    assert len(chat.laptop.said) < 100


def test_an_approval_answered_at_the_other_process(chat):
    with chat.reader() as reader:
        chat.say("run echo once >> proof; cat proof", toolApprovalLevel="readonly")
        [asked] = until(lambda: chunks(reader, "tool-approval-request"), what="the question")

        answered = chat.post(
            f"/threads/{chat.id}/approvals/{asked['approvalId']}", {"decision": "allow"}
        )

        assert answered.status_code == 200
        until(lambda: reader.is_done, what="the end")
    assert chunks(reader, "tool-output-available")[-1]["output"] == "once\n"
    assert chat.get()["status"] == "completed"


def test_the_process_that_holds_the_laptop_is_killed(chat):
    with chat.reader() as reader:
        chat.say(f"pieces {PIECES} 10")
        until(lambda: len(deltas(reader)) > 50, what="some pieces")

        chat.two.cluster.kill("B")

        until(lambda: reader.is_done, what="the end")
    assert_whole(reader.seen, chat.laptop.said)
    assert chat.get()["status"] == "completed"
    assert len(chat.laptop.prompts) == 1


def test_what_waits_for_a_laptop_outlives_the_process_that_had_held_it(chat):
    chat.leave()
    with chat.reader() as reader:
        chat.say("pieces 20 10", whenOffline="queue")
        chat.two.cluster.kill("B")

        chat.laptop.start()  # the relay leads it to A

        until(lambda: reader.is_done, within=60, what="the end")
    assert_whole(reader.seen, chat.laptop.said)
    assert len(chat.laptop.prompts) == 1


def test_the_process_of_the_reader_is_killed(chat):
    with chat.reader("A", "B") as reader:
        chat.say(f"pieces {PIECES} 10")
        until(lambda: len(deltas(reader)) > 50, what="some pieces")

        chat.two.cluster.kill("A")

        until(lambda: reader.is_done, what="the end")
    assert reader.returns > 0
    assert_whole(reader.seen, chat.laptop.said)


def test_both_are_killed_and_one_comes_back(chat):
    with chat.reader("A", "B") as reader:
        chat.say(f"pieces {2 * PIECES} 10")
        until(lambda: len(deltas(reader)) > 50, what="some pieces")

        chat.two.cluster.kill("B")
        chat.two.cluster.kill("A")
        chat.two.start("A")

        until(lambda: reader.is_done, within=60, what="the end")
    assert_whole(reader.seen, chat.laptop.said)
    assert len(chat.laptop.prompts) == 1


def test_redis_forgets_everything(chat):
    with chat.reader() as reader:
        chat.say(f"pieces {PIECES} 10")
        until(lambda: len(deltas(reader)) > 50, what="some pieces")

        chat.two.cluster.redis.flush()

        until(lambda: reader.is_done, what="the end")
    assert_whole(reader.seen, chat.laptop.said)


def test_redis_is_killed_and_comes_back(chat):
    redis = chat.two.cluster.redis
    with chat.reader() as reader:
        chat.say(f"pieces {PIECES} 10")
        until(lambda: len(deltas(reader)) > 50, what="some pieces")

        redis.kill()
        try:
            until(lambda: reader.is_done, what="the end")
            assert_whole(reader.seen, chat.laptop.said)
            # Nobody rings: what is said is found by looking.
            chat.say("count to three")
            until(lambda: "1, 2, 3" in str(deltas_of_all(chat)), what="the answer")
        finally:
            redis.start()


def deltas_of_all(chat):
    return [
        part.get("text")
        for message in chat.get("/messages")["messages"]
        for part in message["parts"]
    ]


def test_after_redis_came_back_bells_ring_again(chat):
    """The test before has killed it; whoever hears comes back by itself."""
    until(lambda: is_live(chat), what="a notification that is received")


def is_live(chat):
    """Say whether a piece arrives before the agent has said the last one."""
    before = len(chat.laptop.said)
    with chat.reader() as reader:
        reader.seen += [(chat.last_seq(), {"type": "nothing"})]
        chat.say("pieces 100 10")
        until(lambda: deltas(reader), what="the first piece")
        in_time = len(chat.laptop.said) < before + 100
        until(lambda: reader.is_done, what="the end")
    return in_time
