"""The whole application, as it is."""

from shop import create_app

from ramet import Module

module = Module("legacy")
module.mount(create_app())
