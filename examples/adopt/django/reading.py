"""The first step: one view of the application as a module. It takes this path before the mount does."""

from notes.reading import minutes

from ramet import Module

module = Module("reading")


@module.get("/reading-time/")
async def reading_time(text: str) -> dict[str, int]:
    return {"minutes": minutes(text)}
