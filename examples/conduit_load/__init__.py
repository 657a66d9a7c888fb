"""Load on Conduit by users who remember what they were told, and check every answer against it.

Open loop: requests begin when they are due, however slow the answers are, and their latency counts from then.
Not here: starting Conduit (`demo`), tests of single answers (`conduit/tests`).
"""
