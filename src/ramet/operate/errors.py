"""What ends or pauses a plan."""

from ramet.errors import StepFailed


class GateFailed(StepFailed):
    """What is new is worse than what is old, or broken. The plan is undone."""

    code = "RM365"


class GateHeld(StepFailed):
    """A gate could not tell, and a person decides: `ramet apply --resume` or `--undo`."""

    code = "RM366"
