"""`python -m webchat` is `webchat`."""

import sys

from webchat.main import main

sys.exit(main())
