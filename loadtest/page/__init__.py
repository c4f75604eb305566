"""A run shown: five lines for a terminal, one page for a browser. Pure: a result in, text out; nothing is fetched.

summary   the five lines
html      the page, whole in one file
charts    its plots, as SVG
"""
