[project]
name = "{{ name }}"
version = "0.1.0"
requires-python = ">=3.11"
dependencies = ["ramet[all]", "msgspec"]

[dependency-groups]
dev = ["ramet[testing]", "ruff", "pyright"]

[tool.pytest.ini_options]
testpaths = ["tests"]
pythonpath = ["."]
addopts = "-q --strict-markers --strict-config"

[tool.ruff]
line-length = 120

[tool.ruff.lint]
select = ["A", "ASYNC", "B", "E", "F", "I", "N", "PT", "RUF", "SIM", "UP", "W"]

[tool.pyright]
include = ["{{ package }}", "tests"]
typeCheckingMode = "strict"
