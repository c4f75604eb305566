"""Where events end up.

protocol                             what a warehouse promises
place                                which form it is
duckdb, duckdb_reader, duckdb_file   the embedded form: a file that one process holds
clickhouse, clickhouse_reader        the scaled-out form, by `clickhouse_client`
queries                              named statements: each form's own .sql file
rows                                 what both readers ask with; a row as an event
lines                                events as the lines of JSON that engines read by themselves

Only consumer processes write to it.
"""
