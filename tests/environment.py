"""A pytest plugin, loaded before the settings are: the tests' state is never a person's own."""

import os
import tempfile
from pathlib import Path

os.environ.setdefault("MESH_HOME", tempfile.mkdtemp(prefix="mesh-test-"))
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "mesh.settings")
Path(os.environ["MESH_HOME"], "static").mkdir(parents=True, exist_ok=True)
