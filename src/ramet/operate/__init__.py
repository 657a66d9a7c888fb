"""The running system: what starts, watches and stops instances and engines.

Not here: what one instance does (that is `process`), what a real server needs (that is `engines`), printing (that is `cli`).
"""
