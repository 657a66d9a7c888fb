"""How each kind of step is taken and taken back: one file a kind, `apply` and `undo`, in terms of the world's verbs.

Not here: what a step changes in the system, and its words (`ramet.model.steps`); the journal and the order (`operate.runner`).
Both functions may run again after a crash at any point.
"""
