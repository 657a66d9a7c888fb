"""Users: who they are, how they sign in, and who a request comes from.

Not here: whom they follow and what they like (`social`).
"""
