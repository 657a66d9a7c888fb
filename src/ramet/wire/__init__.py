"""Values to bytes and back, and the frames that carry them. Sans-I/O: bytes in, decisions and bytes out.

Not here: sockets, tasks, clocks; who calls whom (that is `calls`).
"""
