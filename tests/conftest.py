"""What all tests share: how long Hypothesis searches, and what is not ours to collect."""

import os
import signal
import sys

from hypothesis import HealthCheck, settings

collect_ignore = ["example_repo"]  # somebody else's repo, run by test_example_repo.py

# Times are the machine's, not the code's; a database makes examples slow, which is no mistake.
_UNTIMED = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow], print_blob=True)
settings.register_profile("quick", _UNTIMED, max_examples=60)
settings.register_profile("full", _UNTIMED, max_examples=2_000)
settings.load_profile("quick")

# A shell has what it starts in the background ignore Ctrl-C, and so would the processes of tests.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# Where Python is told to keep no bytecode, as in many container images, each process that a test
# starts would compile every library anew: several seconds for each server.
sys.dont_write_bytecode = False
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
