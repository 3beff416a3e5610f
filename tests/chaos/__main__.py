import logging
import sys

from tests.chaos.run import main

if __name__ == "__main__":
    # Set here, where the process is the run's own: they warn of limits, late timers and an index, as the run means to.
    for name in ("arm", "azure.durable_functions", "triggers"):
        logging.getLogger(name).setLevel(logging.ERROR)
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
