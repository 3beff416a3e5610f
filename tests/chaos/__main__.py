import logging
import sys

from tests.chaos.run import main

if __name__ == "__main__":
    # Set here, where the process is the run's own: arm warns of limits, which the run means to reach.
    logging.getLogger("arm").setLevel(logging.ERROR)
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
