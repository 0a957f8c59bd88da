"""Where a pinned thread's sandbox is: what its agent's metadata means to the machine."""

from uuid import uuid4

import pytest

from agents.models import Agent
from threads.models import Thread
from threads.targets import place_of


@pytest.mark.parametrize(
    ("metadata", "repo"),
    [
        pytest.param({}, None, id="no source"),
        pytest.param(
            {"githubRepo": {"url": "https://github.com/acme/app", "owner": "acme"}},
            {"cloneUrl": "https://github.com/acme/app"},
            id="a repository",
        ),
        pytest.param({"githubRepo": None}, None, id="null"),
        pytest.param({"githubRepo": {"url": ""}}, None, id="no address"),
        pytest.param({"githubRepo": {"url": 7}}, None, id="no text"),
        pytest.param({"githubRepo": "https://github.com/acme/app"}, None, id="no object"),
    ],
)
def test_only_a_source_with_an_address_is_cloned(metadata, repo):
    thread = Thread(
        owner_id=1,
        organization_id=uuid4(),
        link_id=uuid4(),
        agent=Agent(metadata=metadata),
        branch="main",
        sandbox_provider_kind="remote-user",
    )

    assert place_of(thread).repo == repo
