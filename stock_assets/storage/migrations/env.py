"""Alembic's entry: run migrations on the connection that `storage.migrate` handed over, inside its transaction."""

from alembic import context

from stock_assets.storage.schema import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    # Named, because the search path may go on to `public`, where another store's version table may stand.
    version_table_schema=context.config.attributes["schema"],
)
with context.begin_transaction():
    context.run_migrations()
