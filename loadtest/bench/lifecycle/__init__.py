"""Decisions, flips a second, deadlines swept: `python -m loadtest.bench.lifecycle`.

result   what was found
page     that as a page
"""
