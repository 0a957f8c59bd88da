"""Ten thousand events while everything between the agent and its reader breaks: design §10."""

from tests.faults.reader import assert_whole
from tests.faults.trial import Trial, spread

PIECES = 3_334  # three events each
CUTS = 50


def test_ten_thousand_events_through_every_fault(chat):
    """50 cuts, 3 kills of a server, 2 of the link, and a Redis that forgets everything."""
    cluster = chat.two.cluster

    def kill(name):
        def kill_and_start():
            cluster.kill(name)
            chat.two.start(name)

        return kill_and_start

    with chat.reader("A", "B") as reader:
        trial = Trial(chat.laptop, chat.relay, reader, pieces=PIECES)
        run = chat.say(trial.prompt)
        faults = {
            10: [kill("B"), trial.kill_link],
            20: [cluster.redis.flush],
            25: [kill("A"), trial.kill_link],
            CUTS: [kill("B")],
        }
        trial.go_through(spread(CUTS, trial.cut, faults))
    print(trial.figures())

    assert chat.relay.cuts == CUTS
    assert chat.laptop.prompts == [trial.prompt]
    assert_whole(reader.seen, chat.laptop.said)
    assert len(reader.seen) > 10_000
    answer = chat.get("/messages")["messages"][-1]
    assert (answer["id"], answer["metadata"]["state"]) == (run, "completed")
    assert [(p["type"], p["text"]) for p in answer["parts"] if "text" in p] == chat.laptop.said
