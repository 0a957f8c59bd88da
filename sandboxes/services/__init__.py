"""Writing what is known of sandboxes, and starting and ending them."""

from sandboxes.services.records import forget_sandbox, note_used, record_sandbox
from sandboxes.services.removal import orphan_sandboxes, remove_orphans
from sandboxes.services.serving import serve_project
from sandboxes.services.starting import (
    Started,
    delete_vm,
    ensure_vm,
    start_vm,
    stop_sandbox,
)

__all__ = [
    "Started",
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
