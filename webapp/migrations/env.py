"""Alembic's entry: runs the migrations on the connection it is handed."""

from alembic import context

from webapp.database import Model

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=Model.metadata,
    render_as_batch=True,
)
context.run_migrations()
