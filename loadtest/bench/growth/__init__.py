"""Growth: what a hit costs as one thing grows and all else stays, axis by axis, on one core.

    python -m loadtest.bench.growth --axis connections

__main__    the command line: measures axes, each replacing its own part of growth.json; writes the page
sample      one measured point of one round; an axis of them; growth.json
loads       the two loads: a steady pace, and as fast as answers come
pacer       the steady one, a program of its own: hits at drawn moments, over so many connections
marked      wrk, read between two moments instead of from start to end
gauge       one point measured on a running server: CPU of its tree, answers, p99, memory, what others took
contenders  who is measured: Pixelgate with its settings, and peers where they tell whose knee it is
lives       the rounds of an axis: start a server, measure its points one after the other, stop it, count what it kept
shapes      heads of a wanted size, and with so many parameters
axes        the axes by name
hits        params, head size, connections: what one server is loaded with
worlds      keys and workers: what a server is started on
flipping    flips a second, carried out by operators while hits are measured
stock       journals that were really written, and data directories in which some of them wait
waiting     journals that wait: a collector beside them, and who starts to carry them
sharing     workers on many hosts: what their leases cost Redis and the gating service
straight    is it straight: the least line through the medians, and how far off each is
picture     the axes drawn, plain SVG
page        growth.md
"""
