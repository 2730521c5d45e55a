"""The exceptions a user is meant to read."""


class UserError(Exception):
    """Bad input, in one line: the value, the limit, the way out. The command line prints it without a traceback."""


class WrongUse(UserError):
    """What was asked for cannot be: a value out of range, be it that of a file with which nothing is wrong, the name of
    nothing or of a wrong thing.

    The command line ends with 2 for it, and with 1 for what files and machines are to blame for.
    """
