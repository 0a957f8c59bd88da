"""Makes the terminal on standard input that of the session, and becomes the shell.

``python -I -S launch.py SHELL ARGUMENT…``: a program of its own, because code between fork and
exec is not safe in a process with threads. Without a controlling terminal, Ctrl-C reaches nobody.
"""

import fcntl
import os
import sys
import termios

if __name__ == "__main__":
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)
    os.execv(sys.argv[1], sys.argv[1:])
