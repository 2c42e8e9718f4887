"""Alembic's entry: runs the migrations on the connection that store/migrate.py opened, in its transaction."""

from __future__ import annotations

from alembic import context

from handclasp.store.schema import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata)
context.run_migrations()
