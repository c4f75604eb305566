"""Publisher: carries every journal of a data directory to Kafka. `python -m collector.publisher` runs it, one a host.

pump, limits            the loop: read, send, commit; begin anew at the cursors after any failure; bounds and counts
intake                  journals into lanes, cursors after what is acknowledged
messages, shortcut      a journal's records as Kafka carries them; the short way for plain pixel hits
partitions              murmur2: which partition a key belongs to
lanes, record_batch     what waits for one partition; Kafka's batch format
sink                    Sink, and Kafka's form of it
topics                  the topics are there, and their settings keep what was promised
progress, book          how far a journal is; what is known of journals that are gone
dead_letters, resend    what Kafka refuses for good, and how it is sent again
correspondence          the publisher's half of pixel.publishers
exposition              its metrics
"""
