"""Streamlit with faults planted, for the tests: ``python -m tests.load.broken run app/main.py ...``.

A page raises whenever its sentence holds the word "raise", and no file on any disk can grow.
"""

import os
import subprocess
import sys

from streamlit.web.cli import main

SECRET = "the key is 4711"


def planted(sentence):
    def wrapped(self, *args, **more):
        if "raise" in (said := sentence(self, *args, **more)):
            raise ZeroDivisionError(f"{SECRET} and {said}")
        return said

    return wrapped


def no_more_room() -> None:
    """No regular file of this process can be written to any more; what it prints goes through a pipe to another."""
    import resource

    printer = subprocess.Popen(["cat"], stdin=subprocess.PIPE, start_new_session=True)
    assert printer.stdin is not None
    for stream in (1, 2):
        os.dup2(printer.stdin.fileno(), stream)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))


if __name__ == "__main__":
    from app.controls import Controls

    Controls.sentence = planted(Controls.sentence)
    no_more_room()
    sys.argv[0] = "streamlit"
    main()
