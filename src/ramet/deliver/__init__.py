"""From the model to files: the module map, a new application. Pure: what is returned is text, by path.

Not here: writing it, serving it, and finding out what the model is.
"""
