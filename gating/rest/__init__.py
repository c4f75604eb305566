"""Rest: the service's verbs for people and programs, on the admin port, by bearer tokens. Beside `gating/api.py`, which
is the same for whoever may open the data directory's socket.

app            the application, put together for the gating process
door           before anything is read: who asks, and how much they may send
authenticate   a bearer token -> who asks; when it was last used
slowdown       how long whoever failed has to wait (pure)
caller, roles  who asks; what each role may (pure)
conditions     `If-Match` and `Idempotency-Key`, inside the change's own transaction
asked          one request's caller, headers and answer, for the routes
paging         a list a page at a time
house          what the routes share
requests       what may be sent
documents      what is answered
accounts, keys, people, tokens, history, deadlines, effects, billing, reports
               the routes
usage          what an account used, asked of the consumer
problems       everything that is answered otherwise
openapi        the document that describes all of it
errors         what only this door refuses
metrics        failed tries, for Prometheus
"""
