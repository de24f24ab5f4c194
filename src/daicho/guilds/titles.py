"""A ticket's title as people see it, on the console and in the terminal."""

from daicho.core.language import say


def titled(title: str) -> str:
    """Return a title; words that say so for one in which there is nothing to see.

    >>> [titled("Cannot hear"), titled(" \\u200b")]
    ['Cannot hear', '(no title)']
    """
    seen = any(sign.isprintable() and not sign.isspace() for sign in title)
    return title if seen else say("(no title)", "(無題)")
