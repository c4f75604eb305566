"""CPU a hit from the request to Kafka's acknowledgement, at one pace: `python -m loadtest.bench.delivered`.

turn         one server at one pace, started, loaded, waited for, counted
load         `pace.c` of the package above, made to give way to a broker on its core
result       what was found
page, plot   that as a page and as a picture
"""
