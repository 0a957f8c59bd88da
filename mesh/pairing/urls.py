"""Only the addresses that pairing needs, under the names that allauth expects."""

from django.urls import include, path

from mesh.lib import oauth
from mesh.pairing import metadata, views

app_name = "idp"

_oidc = [
    path(oauth.DEVICE_PAGE, views.device, name="device_authorization"),
    path(oauth.DEVICE_CODE, views.device_code, name="device_code"),
    path(oauth.TOKEN, views.token, name="token"),
    path(oauth.REVOKE, views.revoke, name="revoke"),
    path(".well-known/openid-configuration", metadata.authorization_server, name="configuration"),
    path(".well-known/oauth-authorization-server", metadata.authorization_server),
    path(".well-known/oauth-protected-resource", metadata.protected_resource),
]

urlpatterns = [path("", include((_oidc, "oidc")))]
