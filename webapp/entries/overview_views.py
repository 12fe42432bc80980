"""The page of a person's last year, in pictures and as a table."""

from typing import Any

from flask import Blueprint, Flask, current_app, render_template

from webapp import clock
from webapp.compression import compressed
from webapp.entries import pictures
from webapp.entries.days import Days
from webapp.entries.shown import cached_page, current_entries
from webapp.entries.year import first_day, make_year
from webapp.sessions.guard import current_user_id
from webapp.web import Answer

blueprint = Blueprint("overview", __name__, url_prefix="/overview")


def init_overview(app: Flask, days: Days) -> None:
    app.extensions["days"] = days
    app.register_blueprint(blueprint)
    app.add_template_filter(number_of)


@blueprint.get("")
@compressed
def index() -> Answer:
    """Show figures alone: no stranger can write a word of them."""
    user_id, today = current_user_id(), clock.now().date()

    def render(**own: Any) -> str:
        version = current_entries().version(user_id)
        figures, quota = current_entries().figures(user_id), current_entries().quota
        days: Days = current_app.extensions["days"]
        year = make_year(days.since(user_id, first_day(today)), today, figures.size)
        return render_template(
            "entries/overview.html",
            version=version,
            figures=figures,
            quota=quota,
            year=year,
            squares=pictures.draw_squares(year),
            space=pictures.draw_space(year, quota.size),
            pictures=pictures,
            **own,
        )

    # Tomorrow has another first day, also where nothing was written.
    return cached_page(user_id, "overview", render, of=today.isoformat())


def number_of(count: int, what: str) -> str:
    """Write a number with what it counts, in the plural unless it is one."""
    return f"{count:,}\N{NO-BREAK SPACE}{what}{'' if count == 1 else 's'}"
