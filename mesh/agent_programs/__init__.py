"""The agents' programs, as laptops and server know them: ``catalog.toml``, checked when read.

The same file says what people see of an agent; only the server uses that (``agents.catalog``).
"""

from mesh.agent_programs.environment import is_passed
from mesh.agent_programs.table import (
    Acp,
    AgentProgram,
    Judge,
    Probe,
    entries,
    find_by_name,
    get,
    load,
    not_signed_in,
)

__all__ = [
    "Acp",
    "AgentProgram",
    "Judge",
    "Probe",
    "entries",
    "find_by_name",
    "get",
    "is_passed",
    "load",
    "not_signed_in",
]
