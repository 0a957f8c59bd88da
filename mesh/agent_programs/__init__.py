"""The agents' programs, as laptops and server know them: ``catalog.toml``, checked when read, and
``registry.toml``, the agents that people bring along.

The catalog also says what people see of an agent; only the server uses that (``agents.catalog``).
"""

from mesh.agent_programs.environment import (
    is_common,
    is_nameable,
    is_of_an_agent,
    is_passed,
)
from mesh.agent_programs.registry import KnownAgent, known_agents, recognize
from mesh.agent_programs.table import (
    Acp,
    AgentProgram,
    Judge,
    OwnServers,
    Probe,
    entries,
    find_by_agent_info,
    find_by_name,
    get,
    load,
    not_signed_in,
)

__all__ = [
    "Acp",
    "AgentProgram",
    "Judge",
    "KnownAgent",
    "OwnServers",
    "Probe",
    "entries",
    "find_by_agent_info",
    "find_by_name",
    "get",
    "is_common",
    "is_nameable",
    "is_of_an_agent",
    "is_passed",
    "known_agents",
    "load",
    "not_signed_in",
    "recognize",
]
