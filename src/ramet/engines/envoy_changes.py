"""In which order Envoy's files change, so that no route ever leads to a cluster that is not there. Pure.

Each file is watched by itself, so Envoy knows no transaction over several. Make before break:

    1. instances of every cluster, then the clusters: those of now and those wanted, together
    2. the listener and the routes, now that all they can lead to is warm
    3. the clusters without those that no route leads to any more
"""

import json
from collections.abc import Sequence
from typing import Any

from ramet.engines.envoy_config import CLUSTERS, LISTENERS, ROUTES, Files, version_of

_INSTANCES = "eds/"


def phases(current: Files, wanted: Files) -> list[Files]:
    """The files to write, group by group; each group must be in force before the next is written. Empty if nothing differs.

    current: what Envoy has in force. Files that Envoy need not have any more are in `leftovers`.
    """
    instances = {path: content for path, content in wanted.items() if path.startswith(_INSTANCES)}
    traffic = {path: wanted[path] for path in (LISTENERS, ROUTES) if path in wanted}
    clusters = {CLUSTERS: wanted[CLUSTERS]}
    both = {CLUSTERS: _union(current[CLUSTERS], wanted[CLUSTERS])} if CLUSTERS in current else clusters
    kept = {path: content for path, content in current.items() if path.startswith(_INSTANCES) and path not in instances}
    groups = [{**instances, **both}, traffic, clusters]
    state, changes = {**current, **kept}, list[Files]()
    for group in groups:
        change = {path: content for path, content in group.items() if state.get(path) != content}
        state |= change
        if change:
            changes.append(change)
    return changes


def leftovers(present: Files, wanted: Files) -> list[str]:
    """Paths that belong to clusters which are gone."""
    return [path for path in present if path.startswith(_INSTANCES) and path not in wanted]


def names_in(clusters: bytes) -> list[str]:
    return [str(resource["name"]) for resource in _parse(clusters)["resources"]]


def _union(current: bytes, wanted: bytes) -> bytes:
    """The clusters wanted, and those of now that are not among them. `wanted` itself, byte for byte, where there are none."""
    names = set(names_in(wanted))
    stay: Sequence[Any] = [resource for resource in _parse(current)["resources"] if resource["name"] not in names]
    if not stay:
        return wanted
    document = _parse(wanted)
    # The name of a mixture is that of its parts: it is replaced soon, and must differ from both.
    document["version_info"] = f"{version_of(wanted)}+{version_of(current)}"
    document["resources"] = [*document["resources"], *stay]
    return json.dumps(document, indent=1).encode()


def _parse(content: bytes) -> Any:
    return json.loads(content)
