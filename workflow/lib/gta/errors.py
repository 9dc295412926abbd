"""The one exception that people are meant to see."""


class UserError(Exception):
    """A mistake that the person at the keyboard can mend.

    The message is one clear sentence: what is wrong, in which file and line or record, and what to do. The command line prints it
    without a traceback and exits with status 1.
    """
