"""What `startproject` writes, for production, with a choice of sessions."""

import os
import secrets
from pathlib import Path

FOLDER = Path(os.environ["FOLDER"])  # noqa: TID251
SESSIONS = os.environ.get("SESSIONS", "signed_cookies")  # noqa: TID251

SECRET_KEY = os.environ.get("SECRET_KEY") or secrets.token_hex()  # noqa: TID251
DEBUG = False
ALLOWED_HOSTS = ["127.0.0.1"]
INSTALLED_APPS = [
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "benchmarks.peers.django_site",
]
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]
ROOT_URLCONF = "benchmarks.peers.django_site.views"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]
DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": FOLDER / "django.db",
        "CONN_MAX_AGE": None,
        "OPTIONS": {"init_command": "PRAGMA journal_mode=WAL"},
    }
}
SESSION_ENGINE = f"django.contrib.sessions.backends.{SESSIONS}"
SESSION_FILE_PATH = str(FOLDER)
if SESSIONS == "cached_db":
    CACHES = {
        "default": {
            "BACKEND": "django.core.cache.backends.redis.RedisCache",
            "LOCATION": os.environ["REDIS_URL"],  # noqa: TID251
        }
    }
LOGIN_URL = "/login"
LOGIN_REDIRECT_URL = "/entries"
USE_TZ = True
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
