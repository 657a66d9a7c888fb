"""The wiki as it is, below `/wiki`."""

from wiki import create_app

from ramet import Module

module = Module("legacy")
module.mount(create_app(), "/wiki")
