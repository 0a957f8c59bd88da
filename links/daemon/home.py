"""The folder in which the laptop's programs keep their state."""

from __future__ import annotations

from pathlib import Path

from mesh import env


def home_of(given: env.Env | None = None) -> Path:
    """Return ``MESH_HOME``, else ``DATA_DIR`` or ``DECOCMS_HOME``, the names other tools use."""
    environ = given or env.read()
    default = env.Env().home
    named = environ.home if environ.home != default else environ.data_dir or environ.decocms_home
    return Path(named or default).expanduser().resolve()
