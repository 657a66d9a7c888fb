"""Gates: may a change go on? Decided from counters of the new and the old side; pure functions of recorded samples.

Not here: reading the counters and acting on the verdict (that is `operate`).
"""
