"""Every address of Mesh."""

from django.contrib import admin
from django.urls import include, path

from mesh import openapi as openapi  # it registers itself
from mesh import views
from mesh.pages import views as pages

urlpatterns = [
    path("healthz", views.healthz, name="healthz"),
    path("style.<str:digest>.css", pages.style, name="stylesheet"),
    path("panel.<str:digest>.css", pages.panel_style, name="panel-stylesheet"),
    path("enter", views.enter, name="enter"),
    path("join", views.join, name="join"),
    # Before allauth's own: nothing here may wait for a mail, or put a key of one into the log.
    path("accounts/password/reset/", views.no_mail, name="no_mail"),
    path("accounts/password/reset/<path:rest>", views.no_mail),
    path("accounts/confirm-email/", views.no_mail),
    path("accounts/confirm-email/<path:rest>", views.no_mail),
    path("accounts/signup/", views.sign_up, name="account_signup"),
    path("accounts/", include("allauth.account.urls")),
    path("accounts/machines/", include("links.urls")),
    path("accounts/", include("mesh.team.urls_own")),
    path("accounts/2fa/", include("allauth.mfa.urls")),
    path("admin/", admin.site.urls),
    path("", include("mesh.pairing.urls")),
    path("dist/", include("links.dist.urls")),
    path("api/schema/", views.SchemaView.as_view(), name="schema"),
    path("api/", include("links.urls_api")),
    path("api/<slug:org>/", include("agents.urls_api")),
    path("api/<slug:org>/decopilot/", include("threads.urls_api")),
    path("api/<slug:org>/", include("sandboxes.urls_api")),
    path("api/<slug:org>/", include("agents.keys.urls_api")),
    path("<slug:org>/settings/", include("agents.keys.urls")),
    path("<slug:org>/settings/", include("agents.urls")),
    path("<slug:org>/settings/", include("mesh.team.urls")),
    path("", include("threads.urls")),
]

handler400 = "mesh.views.bad_request"
handler500 = "mesh.views.server_error"
handler404 = "mesh.views.not_found"
