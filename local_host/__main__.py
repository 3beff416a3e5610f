import logging
import os
import sys

from .cli import main

code = main()
logging.shutdown()
sys.stdout.flush()
os._exit(code)  # a function that is still in a thread would keep the process from ending
