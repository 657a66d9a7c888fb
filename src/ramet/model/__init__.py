"""What the system is: modules, contracts, shapes of values, compatibility. Frozen data and pure functions.

Not here: anything that waits, opens or sends; anything that runs a module's code.
"""
