"""Writing what is known of sandboxes, and starting and ending them."""

from sandboxes.services.records import forget_sandbox, record_sandbox, touch_sandbox
from sandboxes.services.serving import serve_project
from sandboxes.services.starting import (
    Started,
    delete_vm,
    ensure_vm,
    recorded_place,
    start_vm,
    stop_sandbox,
)

__all__ = [
    "Started",
    "delete_vm",
    "ensure_vm",
    "forget_sandbox",
    "record_sandbox",
    "recorded_place",
    "serve_project",
    "start_vm",
    "stop_sandbox",
    "touch_sandbox",
]
