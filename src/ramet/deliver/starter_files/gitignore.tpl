# What runs here: data, logs, passwords.
.ramet/

.venv/
__pycache__/
.pytest_cache/
.ruff_cache/
