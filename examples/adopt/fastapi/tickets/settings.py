import os
from pathlib import Path

DATABASE_URL = os.environ.get("TICKETS_DATABASE_URL", f"sqlite:///{Path(__file__).parents[1] / 'tickets.db'}")
