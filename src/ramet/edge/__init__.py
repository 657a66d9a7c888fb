"""Where requests enter: routes and their parameters, limits, problem documents, OpenAPI, mounted applications, the server.

Not here: what a module's calls do (they are reached through `ramet.calls`), which modules this instance hosts (`process`).
"""
