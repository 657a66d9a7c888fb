"""Moved to ramet.model.replies."""

from ramet.model.replies import *  # noqa: F403
