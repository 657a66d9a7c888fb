"""How modules reach each other: the same call together and apart.

Not here: HTTP (that is `edge`), events, what a value looks like on the wire (that is `wire`), where modules run (`process`).
"""
