import os
import tempfile

os.environ["TICKETS_DATABASE_URL"] = f"sqlite:///{tempfile.mkdtemp()}/tickets.db"
