"""An empty database like another one: same encoding, owner, rights and settings, which no dump of its tables carries."""

from typing import LiteralString

import psycopg
from psycopg import sql

Session = psycopg.Connection[tuple[object, ...]]

_KIND = """
    SELECT pg_encoding_to_char(encoding), datcollate, datctype, pg_get_userbyid(datdba), datacl IS NULL
    FROM pg_database WHERE datname = %s
"""
_GRANTED = """
    SELECT CASE WHEN grantee <> 0 THEN pg_get_userbyid(grantee) END, privilege_type, is_grantable
    FROM pg_database, aclexplode(datacl) WHERE datname = %s
"""
_SETTINGS = """
    SELECT split_part(setting, '=', 1), substr(setting, strpos(setting, '=') + 1)
    FROM pg_db_role_setting JOIN pg_database ON pg_database.oid = setdatabase, unnest(setconfig) AS setting
    WHERE datname = %s AND setrole = 0
"""
_RIGHTS: dict[object, LiteralString] = {"CREATE": "CREATE", "CONNECT": "CONNECT", "TEMPORARY": "TEMPORARY"}


def create_like(admin: Session, model: str, name: str) -> None:
    """Make the empty database `name` like the database `model`.

    Errors: `psycopg.errors.InsufficientPrivilege` when the user may not.
    """
    row = admin.execute(_KIND, [model]).fetchone()
    if row is None:
        raise LookupError(model)
    encoding, collate, ctype, owner, has_default_rights = row
    new = sql.Identifier(name)
    create = sql.SQL("CREATE DATABASE {} TEMPLATE template0 ENCODING {} LC_COLLATE {} LC_CTYPE {}")
    admin.execute(create.format(new, sql.Literal(encoding), sql.Literal(collate), sql.Literal(ctype)))
    # Before the rights: a new owner takes those of the old one over.
    admin.execute(sql.SQL("ALTER DATABASE {} OWNER TO {}").format(new, sql.Identifier(str(owner))))
    if not has_default_rights:
        _copy_rights(admin, model, new)
    with admin.transaction():
        for setting, value in admin.execute(_SETTINGS, [model]).fetchall():
            # A value that is a list could not be written as one literal.
            admin.execute("SELECT set_config(%s, %s, true)", [setting, value])
            dotted = sql.SQL(".").join(sql.Identifier(part) for part in str(setting).split("."))
            admin.execute(sql.SQL("ALTER DATABASE {} SET {} FROM CURRENT").format(new, dotted))


def _copy_rights(admin: Session, model: str, new: sql.Identifier) -> None:
    admin.execute(sql.SQL("REVOKE ALL ON DATABASE {} FROM PUBLIC").format(new))
    for role, privilege, may_grant in admin.execute(_GRANTED, [model]).fetchall():
        grant = sql.SQL("GRANT {} ON DATABASE {} TO {}{}").format(
            sql.SQL(_RIGHTS[privilege]),
            new,
            sql.SQL("PUBLIC") if role is None else sql.Identifier(str(role)),
            sql.SQL(" WITH GRANT OPTION") if may_grant else sql.SQL(""),
        )
        admin.execute(grant)
