"""Where events end up: `protocol.py` says what a warehouse promises, `duckdb.py` is the embedded form.

Only the consumer process writes to it. Every statement stands, named, in the form's own .sql file.
"""
