"""Alembic's entry: runs the migrations on the connection it is handed."""

from alembic import context

from webapp.database import Model
from webapp.schema import is_of_models

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=Model.metadata,
    render_as_batch=True,
    include_name=is_of_models,
)
context.run_migrations()
