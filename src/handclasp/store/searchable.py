"""What SQLite's searches need beside the tables, made behind the issuance's back (PostgreSQL has it in its indexes).

Names: an index of trigrams (FTS5). Blocks: of each 1024 certificates recorded one after the other, when the first and
the last expire, so that those with nothing to find are passed over. Making these costs as much as recording a
certificate, so it is done in idle moments, and a search reads what is not in them yet by itself.
"""

from __future__ import annotations

import sqlalchemy as sa

BLOCK = 1024

# FTS5 notes the size of each, by rowid.
_LAST_NAME = sa.text("SELECT coalesce(max(id), 0) FROM certificate_names_docsize")
_ADD_NAMES = sa.text(
    "INSERT INTO certificate_names (rowid, names) "
    "SELECT id, names FROM certificates WHERE id > :last ORDER BY id LIMIT :count"
)
_LAST_BLOCK = sa.text("SELECT coalesce(max(block), -1) FROM certificate_blocks")
# Whole blocks only: what is in them, and when it expires, does not change any more.
_ADD_BLOCKS = sa.text(
    "INSERT INTO certificate_blocks (block, first_expiry, last_expiry) "  # noqa: S608 - constants
    f"SELECT id / {BLOCK}, min(not_after), max(not_after) FROM certificates NOT INDEXED "
    f"WHERE id >= :first AND id < :first + {BLOCK} * :count "
    f"AND id < (SELECT max(id) / {BLOCK} * {BLOCK} FROM certificates) GROUP BY id / {BLOCK}"
)
_NEXT = sa.text("SELECT min(id) FROM certificates WHERE id >= :first")


def last_indexed(connection: sa.Connection) -> int:
    """The id of the last certificate whose names are in the index; those after it are not."""
    return int(connection.scalar(_LAST_NAME) or 0)


def index_names(connection: sa.Connection, count: int) -> bool:
    """Index the names of up to ``count`` certificates; whether there may be more."""
    return connection.execute(_ADD_NAMES, {"last": last_indexed(connection), "count": count}).rowcount == count


def first_unblocked(connection: sa.Connection) -> int:
    """The id from which on there are no blocks yet."""
    return (int(connection.scalar(_LAST_BLOCK)) + 1) * BLOCK


def index_blocks(connection: sa.Connection, count: int) -> bool:
    """Note up to ``count`` blocks; whether there may be more."""
    # What was copied from PostgreSQL may have gaps in its ids, wider than a block.
    first = connection.scalar(_NEXT, {"first": first_unblocked(connection)})
    if first is None:
        return False
    start = int(first) // BLOCK * BLOCK
    return connection.execute(_ADD_BLOCKS, {"first": start, "count": count}).rowcount > 0
