"""Who follows whom, and who likes what: pairs of ids, and nothing of what these stand for.

So that it uses only `accounts`, and `articles` can use it.
"""
