"""Histories: what clients asked a running system for, what it told them, and whether it kept its word.

Not here: clients, and how a final state is read; each application has its own (`examples/conduit_load` is one).
"""

from ramet.testing.history.check import check as check
from ramet.testing.history.errors import HistoryRefused as HistoryRefused
from ramet.testing.history.files import load as load
from ramet.testing.history.files import save as save
from ramet.testing.history.findings import Finding as Finding
from ramet.testing.history.findings import Kind as Kind
from ramet.testing.history.findings import Promise as Promise
from ramet.testing.history.findings import Report as Report
from ramet.testing.history.operation import Operation as Operation
from ramet.testing.history.operation import Outcome as Outcome
from ramet.testing.history.operation import Seen as Seen
from ramet.testing.history.operation import Some as Some
from ramet.testing.history.operation import Value as Value
from ramet.testing.history.phases import Mark as Mark
from ramet.testing.history.phases import Phase as Phase
from ramet.testing.history.phases import summarize as summarize
from ramet.testing.history.phases import table as table
from ramet.testing.history.recording import History as History
from ramet.testing.history.recording import Request as Request
