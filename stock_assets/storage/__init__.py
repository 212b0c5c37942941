"""PostgreSQL: the only floor that speaks SQL. What is stored where is said by `storage.tables`."""
