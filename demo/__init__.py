"""`python -m demo`: a real application as one process, then as a fleet on the same data, under checked load in both.

Not here: the application and the load (`examples/`), and what runs them (`ramet`).
"""
