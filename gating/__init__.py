"""Gating: owns the account lifecycle, and tells every worker what holds.

status, feed            the shared vocabulary and the change that travels
policy, lifecycle       rulebooks as data, and the pure machine that reads them
ledger/                 the truth about accounts: history, keys, deadlines, outbox
fence, lead             which workers may still enforce what; grants their leases
ledger_feed, datagram   how a worker on this host learns of flips
service, sweeper        a command from end to end; deadlines that have come
api, gateway            the same verbs over a socket, for the command line
"""
