"""The project's own app: people, organizations, and code that all pages share."""

from django.apps import AppConfig
from django.contrib import admin
from django.contrib.admin import apps as admin_apps


class MeshConfig(AppConfig):
    name = "mesh"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from mesh import checks as checks  # registers itself
        from mesh import disk, lookups, second_factor
        from mesh import proxy_check as proxy_check  # so does this

        disk.connect()
        lookups.register()
        second_factor.connect()


class MeshAdminConfig(admin_apps.AdminConfig):
    """Django's admin on our site; installed instead of ``django.contrib.admin``."""

    default = False
    default_site = "mesh.admin_site.AdminSite"

    def ready(self) -> None:
        super().ready()
        from mesh import admin_models  # it needs the models

        admin_models.replace_pages(admin.site)
