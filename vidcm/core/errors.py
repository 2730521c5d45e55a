"""The one exception a user is meant to read."""


class UserError(Exception):
    """Bad input, in one line: the value, the limit, the way out. The command line prints it without a traceback."""
