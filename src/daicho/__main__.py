"""``python -m daicho``: the same as the command ``daicho``."""

from daicho.cli import main

if __name__ == "__main__":
    main()
