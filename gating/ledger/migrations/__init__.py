"""The ledger's schema, step by step, for Alembic; run by `schema.py` alone, inside one write transaction."""
