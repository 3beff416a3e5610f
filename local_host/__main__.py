import atexit
import logging
import os
import sys

from .cli import main

code = main()
atexit._run_exitfuncs()  # as at the end of Microsoft's worker: telemetry sends what is left
logging.shutdown()
sys.stdout.flush()
os._exit(code)  # a function that is still in a thread would keep the process from ending
