"""The whole application, as it is: importing its own wsgi.py sets Django up."""

from website.wsgi import application

from ramet import Module

module = Module("legacy")
module.mount(application)
