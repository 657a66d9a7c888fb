"""Articles with their tags and comments: written, read one by one, changed, deleted.

Not here: lists of articles for a reader (`feed`), who likes them (`social`).
"""
