"""One instance: assembled, started, watched, drained. The only place that wires the parts together.

Not here: what the parts do; other instances (that is `operate`); printing (that is `cli`).
"""
