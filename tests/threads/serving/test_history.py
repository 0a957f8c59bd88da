"""What was said before a run, as the harness is told."""

import pytest

from threads.models import Message, Run
from threads.serving import history as module
from threads.serving.history import earlier_messages
from threads.serving.turn_input import harness_input


@pytest.fixture
def remembered(thread, say):
    """Return ``remembered(*texts)``: a run whose thread has a session, and these texts before."""

    def make(*texts):
        run = say()
        Message.objects.filter(pk=run.prompt_id).update(seq=100)
        for n, text in enumerate(texts):
            parts = [{"type": "step-start"}, {"type": "text", "text": text}]
            role = "assistant" if n % 2 else "user"
            Message.objects.create(
                thread=thread, role=role, client_id=f"old-{n}", seq=50 + n, parts=parts
            )
        thread.session_ref = "s"
        thread.save(update_fields=["session_ref"])
        return Run.objects.select_related("prompt", "thread__agent").get(pk=run.pk)

    return make


def test_the_oldest_first_and_texts_alone(remembered):
    run = remembered("my word is walnut", "Noted.")

    said = [{"role": "user", "text": "my word is walnut"}, {"role": "assistant", "text": "Noted."}]
    assert earlier_messages(run) == said
    assert harness_input(run)["earlier"] == said


def test_nothing_where_the_harness_remembers_nothing_yet(say, django_assert_num_queries):
    run = say()

    with django_assert_num_queries(0):
        assert earlier_messages(run) == []


def test_it_has_a_limit(remembered, monkeypatch):
    monkeypatch.setattr(module, "MAX_TOTAL", 10)

    assert earlier_messages(remembered("x" * 9, "yes", "no")) == [
        {"role": "assistant", "text": "yes"},
        {"role": "user", "text": "no"},
    ]
