"""What a sandbox is started with."""

from links.daemon.config import Agent
from links.daemon.sandbox_process import COMMAND, with_agents
from sandboxes.daemon import cli


def test_programs_that_the_person_named_are_told_to_the_sandbox():
    agents = [Agent("goose", ("goose", "acp"), ("MY_KEY",)), Agent("other", ("other",))]
    command = with_agents(COMMAND, agents)

    given = cli._parser().parse_args([*command[len(COMMAND) :], "--root", "x"])

    assert given.acp == {"goose": ["goose", "acp"], "other": ["other"]}
    assert given.acp_env == {"goose": ["MY_KEY"]}


def test_without_any_it_is_started_as_ever():
    assert with_agents(COMMAND, ()) == COMMAND
    assert cli._parser().parse_args(["--root", "x"]).acp == {}
    assert with_agents(COMMAND, [Agent("goose", ("goose",))])[-2] == "--acp"
