"""From what was measured to what to do: slow queries, plans in words, indexes, keys to divide rows by. Pure.

Not here: asking servers and instances (that is `data` and `operate`), printing (`cli`).
"""
