"""Conduit: the RealWorld backend (a Medium clone) on Ramet. Each package in here is a module, with `api` as its face.

Beside them two files that belong to no module: `failures`, what requests can be refused with, and `http`, how that is told.
"""
