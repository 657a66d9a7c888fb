"""docs/comparison.md has no figure of ours that nobody measured."""

import json

from tests.docs.example import DOCS


def test_the_figures_are_those_of_the_results() -> None:
    """bench/results.json is written by `make bench` and by nobody else."""
    figure = json.loads((DOCS.parent / "bench/results.json").read_text())["figures"]["remote.cpu_us_1"]
    peers = figure["peers"]
    shown = f"Ramet {figure['value']:g}, NATS {peers['nats']:g}, grpc.aio {peers['grpc.aio']:g}, FastAPI with httpx {peers['fastapi+httpx']:g}."
    assert shown in " ".join((DOCS / "comparison.md").read_text().split())
