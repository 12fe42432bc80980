"""Holdfast's pages as the documentation of three extensions would build them.

Flask-Login keeps who is logged in, Flask-SQLAlchemy the data, Flask-WTF the forms.
Sessions are Flask's signed cookies, or Flask-Session's on files or Redis. Where the
documentation leaves a choice, the faster one was taken.
"""

import secrets
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from cachelib import FileSystemCache
from flask import Blueprint, Flask, flash, redirect, render_template, request, url_for
from flask_login import (
    LoginManager,
    UserMixin,
    current_user,
    login_required,
    login_user,
    logout_user,
)
from flask_session import Session
from flask_sqlalchemy import SQLAlchemy
from flask_wtf import CSRFProtect, FlaskForm
from redis import Redis
from sqlalchemy import ForeignKey, String, Text, func, or_, text
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship
from werkzeug.security import check_password_hash, generate_password_hash
from werkzeug.wrappers import Response
from wtforms import PasswordField, RadioField, StringField, TextAreaField
from wtforms.validators import DataRequired, Length

Answer = str | Response


class Base(DeclarativeBase):
    pass


db = SQLAlchemy(model_class=Base)
login_manager = LoginManager()
csrf = CSRFProtect()
blueprint = Blueprint("pages", __name__)


def _now() -> datetime:
    return datetime.now(UTC).replace(tzinfo=None)


class User(UserMixin, db.Model):
    __tablename__ = "users"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(32), unique=True)
    password_hash: Mapped[str] = mapped_column(String(255))
    entries: Mapped[list["Entry"]] = relationship(back_populates="user")


class Entry(db.Model):
    __tablename__ = "entries"

    id: Mapped[int] = mapped_column(primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id"), index=True)
    key: Mapped[str] = mapped_column(String(200))
    kind: Mapped[str] = mapped_column(String(4))
    value: Mapped[str] = mapped_column(Text)
    size: Mapped[int]
    updated_at: Mapped[datetime] = mapped_column(default=_now, onupdate=_now)
    user: Mapped[User] = relationship(back_populates="entries")


class LoginForm(FlaskForm):
    name = StringField("User name", validators=[DataRequired(), Length(max=32)])
    password = PasswordField("Password", validators=[DataRequired()])


class EntryForm(FlaskForm):
    key = StringField("Key", validators=[DataRequired(), Length(max=200)])
    kind = RadioField(
        "What it is", choices=[("text", "Text"), ("json", "JSON")], default="text"
    )
    value = TextAreaField("Value")


def create_app(folder: Path, redis_url: str = "", *, files: bool = False) -> Flask:
    """Build the application with its SQLite file, and maybe sessions, in the folder."""
    app = Flask(__name__)
    app.config["SECRET_KEY"] = secrets.token_hex()
    app.config["SQLALCHEMY_DATABASE_URI"] = f"sqlite:///{folder / 'tutorial.db'}"
    if redis_url:
        app.config["SESSION_TYPE"] = "redis"
        app.config["SESSION_REDIS"] = Redis.from_url(redis_url)
    elif files:
        app.config["SESSION_TYPE"] = "cachelib"
        app.config["SESSION_CACHELIB"] = FileSystemCache(str(folder / "sessions"))
    if redis_url or files:
        Session(app)
    db.init_app(app)
    csrf.init_app(app)
    login_manager.init_app(app)
    login_manager.login_view = "pages.login"
    app.register_blueprint(blueprint)
    with app.app_context():
        db.session.execute(text("PRAGMA journal_mode=WAL"))
        db.create_all()
    return app


@login_manager.user_loader
def load_user(user_id: str) -> User | None:
    return db.session.get(User, int(user_id))


@blueprint.route("/signup", methods=["GET", "POST"])
def signup() -> Answer:
    form = LoginForm()
    if form.validate_on_submit():
        user = User(
            name=form.name.data,
            password_hash=generate_password_hash(form.password.data or ""),
        )
        db.session.add(user)
        db.session.commit()
        login_user(user)
        return redirect(url_for("pages.index"))
    return render_template("login.html", form=form, title="Make an account")


@blueprint.route("/login", methods=["GET", "POST"])
def login() -> Answer:
    form = LoginForm()
    if form.validate_on_submit():
        user = db.session.scalar(db.select(User).filter_by(name=form.name.data))
        if user and check_password_hash(user.password_hash, form.password.data or ""):
            login_user(user)
            return redirect(url_for("pages.index"))
        flash("User name and password do not match.")
    return render_template("login.html", form=form, title="Log in")


@blueprint.post("/logout")
@login_required
def logout() -> Answer:
    logout_user()
    return redirect(url_for("pages.login"))


@blueprint.get("/entries")
@login_required
def index() -> Answer:
    words = request.args.get("q", "")
    query = db.select(Entry).where(Entry.user_id == current_user.id)
    if words:
        query = query.where(
            or_(Entry.key.icontains(words), Entry.value.icontains(words))
        )
    page = db.paginate(query.order_by(Entry.id.desc()), per_page=20)
    return render_template("entries.html", page=page, figures=_figures(), q=words)


@blueprint.route("/entries/new", methods=["GET", "POST"])
@login_required
def new() -> Answer:
    form = EntryForm()
    if form.validate_on_submit():
        key, value = form.key.data or "", form.value.data or ""
        size = len(key.encode()) + len(value.encode())
        entry = Entry(key=key, kind=form.kind.data, value=value, size=size)
        entry.user_id = current_user.id
        db.session.add(entry)
        db.session.commit()
        flash("Saved.")
        return redirect(url_for("pages.show", entry_id=entry.id))
    return render_template("new.html", form=form)


@blueprint.get("/entries/<int:entry_id>")
@login_required
def show(entry_id: int) -> Answer:
    query = db.select(Entry).filter_by(id=entry_id, user_id=current_user.id)
    return render_template("show.html", entry=db.one_or_404(query))


def _figures() -> dict[str, Any]:
    """Count in one statement what a tutorial may well count in three."""
    week = _now() - timedelta(days=7)
    query = db.select(
        func.count().label("entries"),
        func.coalesce(func.sum(Entry.size), 0).label("size"),
        func.count().filter(Entry.updated_at >= week).label("changed_this_week"),
    ).where(Entry.user_id == current_user.id)
    return dict(db.session.execute(query).one()._mapping)
