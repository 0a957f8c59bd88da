from agents.models import Agent
from agents.services import make_default_agent


def test_the_default_agent_is_made_once(org):
    first = make_default_agent(organization=org)

    assert make_default_agent(organization=org) == first
    assert (first.slug, first.title, Agent.objects.count()) == ("default", "Mesh", 1)


def test_what_people_made_of_it_stays(org):
    agent = make_default_agent(organization=org)
    Agent.objects.filter(pk=agent.pk).update(title="Ours", instructions="Be kind.")

    agent = make_default_agent(organization=org)

    assert (agent.title, agent.instructions) == ("Ours", "Be kind.")
