"""Capacity: what so many hits a second need, reckoned from costs that were measured. Pure arithmetic; measures nothing.

    python -m loadtest.capacity --hits 1000000

__main__    the command line: every cost and every assumption can be given another value
costs       the inputs: costs as measured, each with its source, and assumptions that are yours to change
plan        from inputs and hits a second: hosts, brokers, consumers, bytes
breaks      what gives out first, at how many hits a second, and what to do then
page        both as tables
"""
