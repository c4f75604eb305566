"""Consumers: materialise kept hits, settle the unverified, answer what an account or an operator may know of them.

source, journal_source   where events come from: batches and positions
loop                     read a batch, handle it, commit; the only loop
materialise, settle      a batch into the warehouse once; unverified events by the ledger's history
warehouse/               the protocol, DuckDB and ClickHouse, their named queries
accounts, moments        what a reader may see now; periods
reports, export, tail    what is shown (I11)
service                  all verbs on one data directory
config, errors           what is set, what can go wrong
exposition               what it has done and owes, as metrics
server, client           the same over a Unix socket; the client opens the files where nobody listens
"""
