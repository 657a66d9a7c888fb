"""Lists of articles, each as its reader sees it: put together from what the other modules know, a page at a time.

Not here: single articles (`articles`). It has no data of its own.
"""
