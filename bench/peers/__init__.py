"""One file per peer: the ordinary way to make the call of `bench.payload` with somebody else's stack.

Not here: Ramet's own subjects, and how a subject is driven and timed (`bench.harness`).
"""
