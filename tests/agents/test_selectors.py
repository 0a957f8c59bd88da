import pytest

from agents.models import Agent
from agents.selectors import get_agent
from mesh.models import Organization
from mesh.selectors import NotFound


@pytest.mark.parametrize("by", [lambda agent: agent.slug, lambda agent: str(agent.pk)])
def test_an_agent_by_slug_or_id(agent, org, by):
    assert get_agent(organization=org, name=by(agent)) == agent


@pytest.mark.parametrize("by", [lambda agent: agent.slug, lambda agent: str(agent.pk)])
def test_another_organizations_agent_looks_like_none(agent, by):
    other = Organization.objects.create(slug="elsewhere", name="Elsewhere")

    with pytest.raises(NotFound):
        get_agent(organization=other, name=by(agent))


@pytest.mark.parametrize("name", ["", "nobody", "00000000-0000-4000-8000-000000000000"])
def test_no_such_agent(org, name):
    with pytest.raises(NotFound):
        get_agent(organization=org, name=name)


def test_two_organizations_may_have_an_agent_of_one_name(agent, org):
    other = Organization.objects.create(slug="elsewhere", name="Elsewhere")
    theirs = Agent.objects.create(organization=other, slug="default", title="Theirs")

    assert get_agent(organization=org, name="default") == agent
    assert get_agent(organization=other, name="default") == theirs
