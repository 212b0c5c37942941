"""Migrations in order; a file's leading number is its revision."""
