"""The application for gunicorn; makes its tables and what it is seeded with."""

import json
import os

import django
from django.conf import settings
from django.core.wsgi import get_wsgi_application

os.environ.setdefault(  # noqa: TID251
    "DJANGO_SETTINGS_MODULE", "benchmarks.peers.django_site.settings"
)
django.setup()


def seed() -> None:
    """Make the tables, the person and their entries, as /signup and the form would."""
    from django.contrib.auth.models import User  # noqa: PLC0415
    from django.core.management import call_command  # noqa: PLC0415

    from benchmarks.peers.django_site.models import Entry  # noqa: PLC0415

    given = json.loads(os.environ["SEED"])  # noqa: TID251
    call_command("migrate", run_syncdb=True, verbosity=0)
    user = User.objects.create_user(given["name"], password=given["password"])
    for key, (kind, value) in given["entries"].items():
        size = len(key.encode()) + len(value.encode())
        Entry.objects.create(user=user, key=key, kind=kind, value=value, size=size)


if not (settings.FOLDER / "django.db").exists():
    seed()
application = get_wsgi_application()
