"""Ramet: backends that start as one process and grow into services, replicas and shards live, without a rewrite.

What a module's author imports. Running an instance is `ramet.process`; the command line is `ramet.cli`.
"""

# Unlike everywhere else, names and not modules are imported here: this is the vocabulary.
from ramet.calls.options import calling as calling
from ramet.calls.options import context as context
from ramet.errors import BadAnswer as BadAnswer
from ramet.errors import BadArgument as BadArgument
from ramet.errors import CallError as CallError
from ramet.errors import ConnectionLost as ConnectionLost
from ramet.errors import ContractMismatch as ContractMismatch
from ramet.errors import DeadlineExceeded as DeadlineExceeded
from ramet.errors import NotAllowed as NotAllowed
from ramet.errors import Overloaded as Overloaded
from ramet.errors import RametError as RametError
from ramet.errors import RemoteError as RemoteError
from ramet.errors import Unavailable as Unavailable
from ramet.model.failure import Failure as Failure
from ramet.model.parameters import Body as Body
from ramet.model.parameters import Cookie as Cookie
from ramet.model.parameters import Form as Form
from ramet.model.parameters import Header as Header
from ramet.model.parameters import Query as Query
from ramet.model.replies import Reply as Reply
from ramet.model.replies import ServerEvent as ServerEvent
from ramet.model.replies import SetCookie as SetCookie
from ramet.module import Module as Module
from ramet.version import __version__ as __version__
