"""Effects: what decisions owe to the world outside, carried out at least once.

protocol   a handler: which kinds it carries out; idempotent by the outbox id
runner     tries what is owed, oldest first and in order per account; run by the gating service that leads
rounds     goes through what is owed, a bounded piece at a time
done       notes what was carried out, many in one commit
handlers   which handlers the settings ask for
notices    whom a notice goes to and what it says; texts/ holds the words
senders    the ways out: mail (SMTP), webhook (signed HTTP), file (JSON lines)
desk       what an operator asks and does: list, dead, retry, due, done
counts     what this process's tries came to
metrics    what Prometheus reads
tls        whose certificates the ways out trust
"""
