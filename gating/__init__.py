"""Gating: owns the account lifecycle, and tells every worker what holds.

status, feed            the shared vocabulary, and the change that travels
account, stack          an account as policy sees it; the statuses that lie on each other
lifecycle               pure: rulebook, account, command and instant in, decision out
terms, refusal          what a command needs, and what to tell who lacks it
move                    an account goes to another version of its rulebook, or to another rulebook
workdays                "within one business day"
rulebook                what a rulebook says, as values
rulebook_reader, rulebook_lines, rulebook_schema, rulebook_rows, rulebook_check, rulebook_show
                        reading one: TOML, its lines, its words, its rows, its faults, its tables and diagram
rulebook_ways, rulebook_layout, rulebook_svg
                        drawing one: what leads where, where it stands in the picture, the picture
policy, shelf           rulebooks by name; the version an account lives under
ledger/                 the truth about accounts: history, keys, deadlines, outbox
clock, times            the service's clock; times as people write them
heartbeat               is the clock believed, and what waits while it is not (pure)
clock_desk, clock_api, clock_metrics
                        what an operator asks of it and says; that over HTTP; for Prometheus
deadlines, sweeper      deadlines that have come, recorded before a command, and swept
fence, lead             which workers may still enforce what; granting their leases, and what a service asks of a leader
local_lead              the leader of one host's workers, by datagrams
election, shared_lead, redis_channel
                        which of several services leads; the leader of many hosts' workers, by Redis
datagram, ledger_feed   what leader and workers say to each other; how a worker's gate is moved
lease, redis_feed       a worker's side of the lease; how a gate on any host is moved
redis_keys, redis_client, redis_line, redis_state, backoff
                        what stands where in Redis, its URL, one connection to it, the whole state read over that; the
                        waits between tries
relay, relay_script, rebuild, accounts_topic
                        outbox -> Redis and Kafka; Redis written anew
saved_map, map_file     a worker's map on its disk, for a start without the feed; its layout
service, views          a command from end to end; the documents it answers with
commits                 changes in transactions, many in one, each by itself
receipts                what was purged of a deleted account, or what that still waits for
refusals, tally         what was refused is written down: every one, or how many of a flood
keys, keys_api          whose a key found in the wild is; the verbs of write keys and of refusals over HTTP
people, people_api, token, actor
                        who belongs to an account, and what signs in for them: verbs, over HTTP, a token's form; who
                        acted and by which channel, as the history has it
api, api_change, asgi_call
                        the same verbs over HTTP, what each change may be given; with and without a socket
gateway, local_http     the command line's way to them
admin, operations       the admin port; metrics and health of any role
rest/                   the service's verbs for people and programs, by bearer tokens
bounded_http, http_body HTTP for a port that others may reach: heads and bodies have an end
worker_counters, exposition
                        what the workers counted, and as Prometheus reads it
tasks, relay_metrics    tasks whose failure ends the process; what Prometheus reads of the relay
effects/                what decisions owe to the world outside, carried out at least once
process, sharing        the gating process; a service on a ledger that several share
serving                 serving HTTP beside other work
datadir, config, errors where things lie, what is set, what can go wrong
"""
