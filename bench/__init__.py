"""Ramet measured against its peers: `python -m bench`. Every figure is a CPU time or a ratio of two, taken in one run.

Not here: tests of behaviour (`tests`), load on a whole application, and anything that Ramet imports.
"""
