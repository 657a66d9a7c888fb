"""What users' tests import: `history` finds what a running system lost, doubled or showed too late.

Not here: running a fleet (that is `operate`), and anything that an instance in production imports.
"""
