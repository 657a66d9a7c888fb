"""What is known of the statements that run: fingerprints, counts, and the plans and catalogs that a server tells of them.

Not here: what to make of it (that is `advise`), and which of an instance's databases are asked (`process`, `operate`).
"""
