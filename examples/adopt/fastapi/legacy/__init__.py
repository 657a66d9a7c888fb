"""The helpdesk as it is, below `/`."""

from helpdesk.main import app

from ramet import Module

module = Module("legacy")
module.mount(app)
