"""``python -m al_tf`` is the command line ``al-tf``."""

from .cli.main import main

if __name__ == "__main__":
    main()
