"""Settings, from the environment."""

import os
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Settings:
    database_url: str = field(default_factory=lambda: os.environ.get("HELPDESK_DATABASE_URL", "sqlite:///helpdesk.sqlite"))
    page_size: int = field(default_factory=lambda: int(os.environ.get("HELPDESK_PAGE_SIZE", "20")))
