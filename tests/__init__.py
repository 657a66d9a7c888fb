"""What holds for every test."""

import signal

# Whoever starts the tests in the background has SIGINT ignored, and what is ignored stays so in all that they start: Ctrl-C would
# reach none of the commands that are tested with it.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
