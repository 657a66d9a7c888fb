"""The whole application, as it is."""

from tickets.main import app

from ramet import Module

module = Module("legacy")
module.mount(app)
