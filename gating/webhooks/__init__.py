"""Billing webhooks: what payment providers tell, stored before it is answered, and applied to accounts afterwards.

signature                whether a body is the provider's, now (pure)
stripe.toml, paddle.toml what each provider's events mean: data, described in docs/billing.md
mapping, paths           reading such a file; finding a value in an event (pure)
event                    an event as its mapping reads it, and the payment in it (pure)
order                    what an event still says once others are known (pure): nothing old moves an account back
inbox                    storing: many events, one commit
receive                  `POST /webhooks/{provider}` on the admin port
carry                    one event, inside the transaction that applies it
applier                  the loop that applies what waits, where a service leads
desk                     what an operator asks and tells about events; erasing an account's
counts                   what was received, and as Prometheus reads it
"""
