import signal


def interruptible():
    """Undo, in a new process, what a shell does to jobs in the background: they ignore Ctrl-C."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
