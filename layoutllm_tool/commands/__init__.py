"""The command line, one module a command. ``cli.py`` parses arguments and turns errors into exit codes."""
