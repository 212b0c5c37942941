"""The database's history: one numbered file per change, run by `storage.migrate`."""
