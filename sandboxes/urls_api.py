"""Addresses of the app, below ``/api/<org>/``."""

from django.urls import path

from sandboxes import api, proxy

urlpatterns = [
    path("tools/VM_START", api.StartTool.as_view(), name="vm-start"),
    path("tools/VM_DELETE", api.DeleteTool.as_view(), name="vm-delete"),
    path("tools/ensure_vm", api.EnsureTool.as_view(), name="ensure-vm"),
    path("vm-events", proxy.follow_events, name="vm-events"),
    path("vm/<str:vm_id>/<path:branch>/events", proxy.follow_events, name="vm-branch-events"),
    path("vm/<str:vm_id>/<path:rest>", proxy.VmApi.as_view(), name="vm"),
]
