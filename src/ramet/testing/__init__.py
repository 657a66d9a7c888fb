"""What users' tests import, and the pytest plugin behind it: placements, fakes, a database that is reset, tests by
change; `history` finds what a running system lost, doubled or showed too late.

Not here: running a fleet (that is `operate`), and anything that an instance in production imports.
"""

from ramet.testing.fakes import Fake as Fake
from ramet.testing.fakes import fake as fake
