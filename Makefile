# Each target makes what it needs first: on a bare machine with python3 and make, `make test` is the only command.
PYTHON ?= python3
PY := .venv/bin/python
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: setup demo test check bench clean

setup: .venv/ready

.venv/ready: pyproject.toml tools/setup
	tools/setup "$(PYTHON)"
	@touch $@

test: setup
	$(PY) -m pytest -n 2 --basetemp="$$(mktemp -d)/t"  # its own: tests that run pytest themselves would clean up the shared one

demo: setup
	$(PY) -m demo

check: setup
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/lint-imports
	.venv/bin/pyright

bench: setup
	$(PY) -m pip install --quiet --group bench
	$(PY) -m bench

clean:
	rm -rf .venv
