"""Writes the records of sandboxes, and starts and ends them."""

from sandboxes.services.lifecycle import (
    StartResult,
    delete_vm,
    ensure_vm,
    start_vm,
    stop_sandbox,
)
from sandboxes.services.preview_setup import serve_project
from sandboxes.services.records import forget_sandbox, note_used, record_sandbox
from sandboxes.services.removal import orphan_sandboxes, remove_orphans

__all__ = [
    "StartResult",
    "delete_vm",
    "ensure_vm",
    "forget_sandbox",
    "note_used",
    "orphan_sandboxes",
    "record_sandbox",
    "remove_orphans",
    "serve_project",
    "start_vm",
    "stop_sandbox",
]
