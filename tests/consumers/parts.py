"""ClickHouse's replaced parts: a minute on disk by the tables' own settings, a second or two in a test."""

SOON = (
    "old_parts_lifetime = 1, cleanup_delay_period = 1, "
    "cleanup_delay_period_random_add = 0, max_cleanup_delay_period = 1"
)
"""The table's own are a minute each."""


def hurry(warehouse, *tables):
    """Have what a mutation replaces unlinked at once."""
    for table in tables:
        for statement in (
            f"ALTER TABLE {table} MODIFY SETTING {SOON}",
            f"DETACH TABLE {table}",
            f"ATTACH TABLE {table}",
        ):
            warehouse._client.ask(statement)  # its cleaner is under way with the old settings otherwise
