"""Found because `dependencies` names its folder."""

import os

GREETING = os.environ["CONFIGURED_GREETING"]  # of `env`, set before anything is imported
