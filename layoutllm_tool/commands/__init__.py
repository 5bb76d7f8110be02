"""What the command line does, one module a command. ``cli.py`` parses the arguments and turns errors into
exit codes.
"""
