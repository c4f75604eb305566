"""What visitors and others send: seeded, and pure. No socket, no file, no locust.

zipf      how often the first, the second, the thousandth of many is chosen
session   a visitor's way through a site: page by page, hit by hit, with one browser's headers
garbage   what else comes in on a public port, and what it must be answered
"""
