"""The command line, `al-tf`."""
