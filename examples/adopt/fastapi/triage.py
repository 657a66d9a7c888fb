"""The first step: one endpoint of the application as a module. It takes this path before the mount does."""

from tickets.priority import classify

from ramet import Module

module = Module("triage")


@module.get("/priority")
async def priority(text: str) -> dict[str, str]:
    return {"priority": classify(text)}
