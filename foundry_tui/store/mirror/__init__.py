"""A copy of a tracking server's runs in the user's cache, to be sorted and filtered here.

The server cannot be asked to sort by a metric: with SQLite behind it that takes 118 s at 10,000
runs. What is kept here can be lost at any time and is then read again.
"""
