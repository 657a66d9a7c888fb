"""What ramet.toml forbids, on a running fleet: modules that must stay together, more memory than a service may use."""

import json

import pytest

from tests.operate.app import Command

pytestmark = pytest.mark.timeout(120)


def test_what_the_file_forbids_does_not_happen(shop: Command) -> None:
    """Too much memory is a hard signal, which undoes the plan by itself; what must stay together is refused before anything moves,
    by a plan and where nothing runs yet; so are shards of a database without a key."""
    file = shop.folder / "ramet.toml"
    text = file.read_text()
    file.write_text(
        text.replace("instances = 2 }", 'instances = 2, memory = "1MB" }')
        + '\n[topology.wide.services]\nmain = { modules = ["*"] }\n[topology.wide.databases]\norders = { shards = 2 }\n'
    )
    shop.up("seed")
    undone = shop.run("apply", "grown", "--yes")
    assert undone.returncode == 1
    newest = json.loads(shop.ok("history", "--json"))[0]
    assert newest["state"] == "undone"
    assert "memory" in newest["why"]
    assert "its limit is 1 MB" in newest["why"]

    refused = shop.run("apply", "wide", "--yes")
    assert refused.returncode == 2
    assert "orders cannot have 2 shards, since its rows have no key; declare it with module.database(key=...)" in refused.stderr

    file.write_text(text.replace('name = "shop"', 'name = "shop"\ninseparable = [["front", "orders"]]'))
    said = "front and orders share state or a database role and must stay in one service: front in "
    refused = shop.run("extract", "orders", "--yes")
    assert (refused.returncode, said in refused.stderr) == (2, True), refused.stderr
    shop.ok("down")
    refused = shop.run("up", "grown", "--detach")
    assert (refused.returncode, said in refused.stderr) == (2, True), refused.stderr
