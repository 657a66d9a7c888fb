"""Source and model to findings: what would break if a module were taken apart. Pure but for reading files; runs no user's code.

Not here: printing (that is `cli`), and what a running system does (that is `calls`, which refuses some of the same things).
"""
