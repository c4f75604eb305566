"""What all of the ledger's tables are made with: their metadata, and the column types that both engines have."""

from typing import Final

from sqlalchemy import BigInteger, Integer, MetaData, Text

BIG: Final = BigInteger().with_variant(Integer, "sqlite")
"""64 bits on either engine. SQLite's INTEGER holds them too, and as a primary key is the row's own place: pages by
version are then read in the order they lie on disk."""

NAME: Final = Text().with_variant(Text(collation="C"), "postgresql")
"""An id or key: ordered by its bytes on either engine."""

# Names for every constraint, so that a later migration can name what it drops on either engine.
metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)
