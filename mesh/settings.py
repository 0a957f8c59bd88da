"""Django's settings, made from ``mesh.env``; embedded unless DATABASE_URL says otherwise."""

from __future__ import annotations

import os
import socket
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from django.core.exceptions import ImproperlyConfigured

from mesh import env as _env
from mesh import keys as _keys
from mesh.lib.addresses import parse_allowed as _parse_allowed
from mesh.lib.cors import parse_origins as _parse_origins
from mesh.lib.proxies import parse_proxies as _parse_proxies
from mesh.version import VERSION

try:
    ENV = _env.read()
    _env.refuse_halves(ENV)
except _env.BadEnvironment as exc:
    raise ImproperlyConfigured(str(exc)) from exc

BASE_DIR = Path(__file__).resolve().parent.parent
MESH_HOME = ENV.home.expanduser()
MESH_VERSION = VERSION
MESH_EMBEDDED = not ENV.database_url
# Each process has its own name, which marks the process that holds a laptop's socket.
MESH_NODE = ENV.node or f"{socket.gethostname()}:{os.getpid()}"
MESH_INTERNAL_ADDRESS = ENV.internal_address
MESH_CATALOG = ENV.catalog
MESH_KEEP_DELETED_DAYS = ENV.keep_deleted_days
MESH_ALLOW_LOCALHOST_LINKS = ENV.allow_localhost_links
STUDIO_SANDBOX_RUNNER = ENV.sandbox_runner
MESH_SANDBOX_KINDS = [kind.strip() for kind in ENV.sandbox_kinds.split(",") if kind.strip()]
try:
    MESH_PRIVATE_HOSTS = _parse_allowed(ENV.private_hosts)
except ValueError as exc:
    raise ImproperlyConfigured(f"MESH_PRIVATE_HOSTS: {exc}") from exc
try:
    MESH_PROXIES = _parse_proxies(ENV.proxies)
except ValueError as exc:
    raise ImproperlyConfigured(f"MESH_PROXIES: {exc}") from exc

try:
    CORS_ALLOWED_ORIGINS = list(_parse_origins(ENV.cors_origins))
except ValueError as exc:
    raise ImproperlyConfigured(f"MESH_CORS_ORIGINS: {exc}") from exc
# What a client of threads needs, and nothing else; a page of another origin never gets cookies.
CORS_URLS_REGEX = r"^/api/[^/]+/decopilot/"
CORS_ALLOW_CREDENTIALS = False
CORS_ALLOW_METHODS = ("DELETE", "GET", "OPTIONS", "PATCH", "POST", "PUT")
CORS_ALLOW_HEADERS = ("authorization", "content-type", "last-event-id", "user-agent")
CORS_EXPOSE_HEADERS = ("retry-after", "x-vercel-ai-ui-message-stream")

# An embedded Mesh makes both at its first start and keeps them beside the database, 0600.
SECRET_KEY = ENV.secret_key or _keys.read_or_make(MESH_HOME / "secret-key", _keys.make_secret)
MESH_ENCRYPTION_KEYS = [
    key.strip()
    for key in (
        ENV.encryption_keys or _keys.read_or_make(MESH_HOME / "encryption-key", _keys.make_fernet)
    ).split(",")
]

DEBUG = ENV.debug
_url = urlsplit(ENV.url)
MESH_URL = ENV.url.rstrip("/")
ALLOWED_HOSTS = [_url.hostname] if _url.hostname else ["localhost", "127.0.0.1", "[::1]"]
CSRF_TRUSTED_ORIGINS = [f"{_url.scheme}://{_url.netloc}"] if _url.hostname else []

INSTALLED_APPS = [
    "mesh",
    "mesh.pages",
    "links",
    "agents",
    "sandboxes",
    "threads",
    "mesh.apps.MeshAdminConfig",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "servestatic.runserver_nostatic",
    "django.contrib.staticfiles",
    "allauth",
    "allauth.account",
    "allauth.mfa",
    "allauth.idp.oidc",
    "rest_framework",
    "drf_spectacular",
    "channels",
]

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    *(["corsheaders.middleware.CorsMiddleware"] if CORS_ALLOWED_ORIGINS else []),
    "servestatic.middleware.ServeStaticMiddleware",
    "mesh.middleware.content_security_policy",
    "mesh.middleware.unstorable_text",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "allauth.account.middleware.AccountMiddleware",
]

ROOT_URLCONF = "mesh.urls"
ASGI_APPLICATION = "mesh.asgi.application"

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    },
]


def _database(url: str) -> dict[str, Any]:
    """Return Django's description of the database at ``url``; empty: SQLite in MESH_HOME."""
    if not url:
        return {
            "ENGINE": "django.db.backends.sqlite3",
            "NAME": MESH_HOME / "mesh.sqlite3",
            # A file, not memory: the journal's writer has its own connection.
            "TEST": {"NAME": MESH_HOME / "test.sqlite3"},
            "OPTIONS": {
                "transaction_mode": "IMMEDIATE",
                "timeout": 20,
                # Checkpoints run outside the commits (mesh/wal.py).
                "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;"
                "PRAGMA wal_autocheckpoint=0;"
                "PRAGMA cache_size=-20000; PRAGMA mmap_size=134217728;",
            },
        }
    parts = urlsplit(url)
    if parts.scheme not in {"postgres", "postgresql"}:
        raise ImproperlyConfigured("DATABASE_URL takes postgres://user:password@host/name.")
    # The connections of one process: 12 of mesh/database_pool.py, one of the journal's writer, and
    # 12 for requests; further requests wait for a free one.
    # While the database is unreachable, a request waits ``timeout`` seconds, and is then refused
    # with 503. A connection attempt is abandoned after ``reconnect_timeout``, and the next request
    # tries again immediately. By default the pool doubles its pauses for five minutes, and requests
    # that arrive after the database is back wait for the end of such a pause.
    options: dict[str, Any] = {
        "pool": {"min_size": 1, "max_size": 25, "timeout": 10, "reconnect_timeout": 5}
    }
    query = dict(pair.split("=", 1) for pair in parts.query.split("&") if "=" in pair)
    return {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": unquote(parts.path.lstrip("/")),
        "USER": unquote(parts.username or ""),
        "PASSWORD": unquote(parts.password or ""),
        # A socket's folder can't be the host of a URL: ?host=/run/postgresql
        "HOST": unquote(query.get("host", parts.hostname or "")),
        "PORT": str(parts.port or ""),
        # A connection that broke in the pool is replaced before a request fails on it.
        "CONN_HEALTH_CHECKS": True,
        "OPTIONS": options,
    }


DATABASES = {"default": _database(ENV.database_url)}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

CHANNEL_LAYERS: dict[str, Any] = {
    "default": {
        "BACKEND": "channels_redis.pubsub.RedisPubSubChannelLayer",
        "CONFIG": {"hosts": [ENV.redis_url]},
    }
    if ENV.redis_url
    else {"BACKEND": "channels.layers.InMemoryChannelLayer", "CONFIG": {"capacity": 1000}}
}

# People
AUTH_USER_MODEL = "mesh.User"
AUTHENTICATION_BACKENDS = [
    "django.contrib.auth.backends.ModelBackend",
    "allauth.account.auth_backends.AuthenticationBackend",
]
LOGIN_URL = "account_login"
LOGIN_REDIRECT_URL = "/"
ACCOUNT_LOGIN_METHODS = {"username", "email"}
ACCOUNT_SIGNUP_FIELDS = ["username*", "email", "password1*", "password2*"]
ACCOUNT_EMAIL_VERIFICATION = "none"
MESH_OPEN_SIGNUP = ENV.open_signup
ACCOUNT_ADAPTER = "mesh.accounts.AccountAdapter"
ACCOUNT_SESSION_REMEMBER = True
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator"},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]
# Not the console: such mails contain keys to accounts, and the console is the log.
EMAIL_BACKEND = "django.core.mail.backends.dummy.EmailBackend"
# If only this machine can reach Mesh, a person with the printed ticket has the machine and its
# database anyway. A second factor that the owner has set up is still required.
MESH_ADMIN_SECOND_FACTOR = ENV.admin_second_factor and not (MESH_EMBEDDED and not MESH_URL)
MFA_TOTP_ISSUER = "Mesh"
# Mesh sends no mail, so no address is ever verified.
MFA_ALLOW_UNVERIFIED_EMAIL = True
SESSION_COOKIE_NAME = "mesh_session"
SESSION_COOKIE_AGE = 60 * 60 * 24 * 30
SESSION_COOKIE_SAMESITE = "Lax"
CSRF_COOKIE_NAME = "mesh_csrf"
CSRF_FAILURE_VIEW = "mesh.views.forged"
X_FRAME_OPTIONS = "DENY"
SECURE_CONTENT_TYPE_NOSNIFF = True
SECURE_REFERRER_POLICY = "same-origin"
if _url.scheme == "https":
    # mesh.client_address decides whether a request came over TLS: it trusts named proxies only.
    SECURE_SSL_REDIRECT = True
    SECURE_REDIRECT_EXEMPT = [r"^healthz$"]
    SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = True
    # An app in a preview, on a subdomain, can't set a cookie with such a name for this host.
    SESSION_COOKIE_NAME, CSRF_COOKIE_NAME = "__Host-mesh_session", "__Host-mesh_csrf"
    SECURE_HSTS_SECONDS = 0 if ENV.hsts == "off" else 60 * 60 * 24 * 365
    # What it says about other hosts can't be undone for a year: only the operator knows them.
    SECURE_HSTS_INCLUDE_SUBDOMAINS = ENV.hsts in {"subdomains", "preload"}
    SECURE_HSTS_PRELOAD = ENV.hsts == "preload"

# Machines: OAuth 2.0's device flow (mesh.pairing)
IDP_OIDC_DEVICE_CODE_EXPIRES_IN = 600
IDP_OIDC_DEVICE_CODE_INTERVAL = 2
IDP_OIDC_ACCESS_TOKEN_EXPIRES_IN = ENV.token_seconds
# A machine that was off for so long must pair again; each renewal restarts the time.
IDP_OIDC_REFRESH_TOKEN_EXPIRES_IN = 60 * 60 * 24 * 90

# allauth counts sign-in attempts, and stores used codes of second factors, in the default cache:
# rows, which every process sees, which survive a restart, and which other entries don't evict.
CACHES = {
    "default": {
        "BACKEND": "django.core.cache.backends.db.DatabaseCache",
        "LOCATION": "mesh_cache",
        "OPTIONS": {"MAX_ENTRIES": 1_000_000},  # expired ones are removed every minute
    }
}

# Files of the pages
STATIC_URL = "/static/"
STATIC_ROOT = MESH_HOME / "static"
# Not the manifest's files alone: pages of the last versions may be open, and load theirs.
SERVESTATIC_USE_STATIC_ROOT = True
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {
        "BACKEND": "mesh.staticfiles.HashedFiles"
        if not DEBUG
        else "django.contrib.staticfiles.storage.StaticFilesStorage"
    },
}

# Programs
DATA_UPLOAD_MAX_MEMORY_SIZE = 10 * 1024 * 1024
REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "mesh.authentication.TokenAuthentication",
        "rest_framework.authentication.SessionAuthentication",
    ],
    "DEFAULT_PERMISSION_CLASSES": [
        "rest_framework.permissions.IsAuthenticated",
        "mesh.permissions.MayStart",
    ],
    "DEFAULT_PARSER_CLASSES": ["mesh.parsers.JSONParser"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "EXCEPTION_HANDLER": "mesh.api.answer_error",
    "TEST_REQUEST_DEFAULT_FORMAT": "json",
}
SPECTACULAR_SETTINGS = {
    "TITLE": "Mesh",
    "VERSION": VERSION,
    "DESCRIPTION": "Threads, runs and links of a Mesh server. Sign in with a bearer token.",
    "SERVE_INCLUDE_SCHEMA": False,
    "SCHEMA_PATH_PREFIX": "/api/",
    "ENUM_NAME_OVERRIDES": {
        "ToolApprovalLevelEnum": "threads.requests.LEVELS",
        "WhenEnum": "threads.requests.WHEN",
    },
    "POSTPROCESSING_HOOKS": [
        "drf_spectacular.hooks.postprocess_schema_enums",
        "threads.schema.add_stream",
    ],
}

USE_TZ = True
TIME_ZONE = "UTC"
USE_I18N = False

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"format": "{asctime} {levelname} {name}: {message}", "style": "{"}},
    "filters": {"one_line": {"()": "mesh.log_filters.OneLine"}},
    "handlers": {
        "stderr": {
            "class": "logging.StreamHandler",
            "formatter": "line",
            "filters": ["one_line"],
        }
    },
    "root": {"handlers": ["stderr"], "level": ENV.log_level},
    "loggers": {
        "httpx": {"level": "WARNING"},
        "httpx2": {"level": "WARNING"},
        "mcp": {"level": "CRITICAL"},  # the chat reports errors of other people's servers
        "asyncio": {"level": "WARNING"},
        "oauthlib": {"level": "INFO"},  # at DEBUG it logs tokens
    },
}
# Whether HSTS covers other hosts is the operator's choice: MESH_HSTS.
SILENCED_SYSTEM_CHECKS = ["security.W005", "security.W021"]
