"""`python -m webchat` is the same as `webchat`."""

import sys

from webchat.main import main

sys.exit(main())
