"""How long ago something was, in words for people."""

from datetime import datetime, timedelta

import humanize
from markupsafe import Markup

from webapp import clock

# From then on days are counted in months.
MONTHS = timedelta(days=60)


def moment(when: datetime) -> Markup:
    """Write a time as people say it ("3 minutes ago"), exact when pointed at.

    Of 16 days humanize would say that they are a month. page.js writes the same.
    """
    now = clock.now()
    are_months = abs(now - when) >= MONTHS
    said = humanize.naturaltime(when, months=are_months, when=now)
    exact = f"{when:%Y-%m-%d %H:%M:%S} UTC"
    return Markup('<time datetime="{}" title="{}">{}</time>').format(
        when.isoformat(timespec="seconds"), exact, said
    )
