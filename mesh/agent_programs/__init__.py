"""What laptops and server know of the agents' programs: ``catalog.toml``, checked when it is read.

What people see of an agent stands in the same file, and is the server's alone (``agents.catalog``).
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
