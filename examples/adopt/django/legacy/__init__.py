"""The library as it is, below `/`."""

from library.wsgi import application

from ramet import Module

module = Module("legacy")
module.mount(application)
