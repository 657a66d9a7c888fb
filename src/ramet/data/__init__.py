"""A module's own database: connections and their pool, transactions, roles and schemas, migrations, the ledger of once calls.

Not here: starting a server (that is `engines`), which module runs where (`process`), what a call looks like (`calls`).
"""
