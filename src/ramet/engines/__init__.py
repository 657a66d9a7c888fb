"""Start, stop and inspect the real servers that Ramet stands on, and any other child process: PostgreSQL, Envoy.

Not here: SQL and pools (that is `data`), what the topology wants of an engine (that is `operate`), drivers of any kind.
"""
