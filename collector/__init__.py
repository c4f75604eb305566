"""Collector: answers hits.

protocol, connection    the fast path; a connection's order, limits and ends
plain                   which heads ask for nothing special
reference, app          uvicorn's own protocol behind the fast path; the ASGI app with the reference pixel route
listening               by how many descriptors new connections are taken
tls                     the public port's certificate, where no proxy has one
limits, wheel           how long and how many; every time-out by one timer
group                   this tick's hits: one clock reading, one look at the gate, one write, then the answers
linger                  a pause between two ticks, where a setting asks for it
gate, entry, outcome    write key -> what becomes of the hit; how one key stands, packed
pixel                   the GIF and the prebuilt answers
hit, batch              request bytes -> which key; the body of POST /v1/events
journal/                where a kept hit lies before it is answered
trackers/, refine       a journalled record -> event, by the family of its request
addresses, event        proxies and what is kept of an address; the wire format
publisher/              carries the journals to Kafka
topics                  the names of Kafka's topics
letter_files            append-only lines with checksums, for dead letters
publishers              what publishers and consumers say to each other on pixel.publishers
worker, metrics         one process: its socket, its journal, its counters
service_times           how long hits are inside a worker, where a setting asks for it
totals                  the counters of workers that are gone
config, errors          what is set, what can go wrong
"""
