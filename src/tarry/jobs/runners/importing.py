"""What a worker process must not do while it imports the file of the application: serve."""

import sys


def check_may_serve() -> None:
    """Let the server serve, and nobody else.

    Raises:
        RuntimeError: this is a worker process, which has only begun to import the file.
    """
    process = sys.modules.get("multiprocessing.process")
    # As multiprocessing itself does, where processes would start further ones without end.
    if process is not None and getattr(process.current_process(), "_inheriting", False):
        raise RuntimeError(
            "a process for jobs imports the file that was started, and must not serve; "
            'put the line that does below: if __name__ == "__main__":'
        )
