"""What happened, told once: a record of each unit of work yields its span, its histogram and the ids of its log lines.

Not here: what to do about it (gates, objectives, advice); the work itself.
"""
