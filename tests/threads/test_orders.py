"""What a harness is told of a run."""

from agents.core.mcp import McpServer
from agents.services import put_mcp_server
from threads.turn_input import harness_input

LINEAR = McpServer("linear", "https://mcp.example/mcp", {"Authorization": "Bearer hunter2"})
PLAIN = McpServer("plain", "https://plain.example/mcp")


def test_a_harness_is_told_the_agents_mcp_servers(say, agent, settings):
    settings.MESH_URL = ""  # nobody could reach a gateway here
    for server in (LINEAR, PLAIN):
        put_mcp_server(agent=agent, server=server)

    assert harness_input(say())["virtualMcp"]["mcpServers"] == [
        {
            "name": "linear",
            "url": "https://mcp.example/mcp",
            "headers": {"Authorization": "Bearer hunter2"},
        },
        {"name": "plain", "url": "https://plain.example/mcp"},
    ]


def test_their_secrets_stand_in_no_event(say, agent, chunks, thread):
    put_mcp_server(agent=agent, server=LINEAR)
    say()

    assert "hunter2" not in str(chunks(thread))
