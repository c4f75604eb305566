"""Collector: answers hits.

    hit, trackers/          request bytes -> which key, which event; the one parser of every path
    pixel, protocol, app    the fast path, and the reference path behind it
    group                   this tick's hits: one clock reading, one look at the gate, one write, then the answers
    gate                    write key -> verdict, in process; followed by a feed, bounded by a lease
    journal/                where a kept hit lies before it is answered
    refine, event           what consumers make of a journalled record; the wire format
    worker                  one process: its socket, its journal, its counters
"""
