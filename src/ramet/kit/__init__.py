"""Small helpers that know nothing of Ramet: durations, near misses.

Not here: anything that two parts would want to agree on (that is `model`), or that does I/O.
"""
