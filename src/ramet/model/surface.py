"""What the modules of one version promise to each other and ask of each other: enough to compare it with another version."""

from collections.abc import Mapping

import msgspec

from ramet.model.compatibility import Descriptor


class Surface(msgspec.Struct, frozen=True):
    """contracts: of all calls, by qualified name such as `articles.newest`. uses: module -> modules that it calls.

    places: call -> file:line of its declaration, relative to the application's folder; may lack some.
    """

    contracts: Mapping[str, Descriptor]
    uses: Mapping[str, list[str]]
    places: Mapping[str, str] = {}
