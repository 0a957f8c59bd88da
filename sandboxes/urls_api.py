"""Addresses of the app, below ``/api/<org>/``."""

from django.urls import path

from sandboxes import api

urlpatterns = [
    path("tools/VM_START", api.StartTool.as_view(), name="vm-start"),
    path("tools/VM_DELETE", api.DeleteTool.as_view(), name="vm-delete"),
    path("tools/ensure_vm", api.EnsureTool.as_view(), name="ensure-vm"),
]
