"""Consumers: materialise kept hits, settle the unverified, answer what an account or an operator may know of them.

source, journal_source   where events come from: batches and positions
kafka_source             the same out of Kafka, with
  kafka_member           the client in its group
  kafka_records          what came, sorted; what is no event
  kafka_places           where reading goes on, by the warehouse
  topic_ids, asking      which incarnation of a topic; how far publishers have come
  kafka_clients          how every client of ours is let go of
  dead_letters           records that are no events
announcer                what settled as accepted, written to pixel.events
loop                     read a batch, handle it, commit; the only loop
materialise, settle      a batch into the warehouse once; unverified events by the ledger's history
warehouse/               the protocol, DuckDB and ClickHouse, their named queries
activity                 when accounts were last active, told to the ledger
accounts, moments        what a reader may see now; periods
reports, export          what is shown (I11)
tail, kafka_tail         live events, out of the journals or out of Kafka; tailing says which
purge                    nothing of a deleted account stays anywhere; with
  purge_places           a data directory's files
  purge_kafka            what Kafka still holds
  purge_receipt          the document at the end
  purging                the same in a process of its own
service                  all verbs on one data directory
config, errors           what is set, what can go wrong
exposition               what it has done and owes, as metrics
server, client           the same over a Unix socket; the client opens the files where nobody listens
"""
