"""What the tests share."""


def failures(check, names):
    """The messages of the names for which `check(name)` fails an assertion: a loop that shows all of them at once."""
    found = []
    for name in names:
        try:
            check(name)
        except AssertionError as error:
            found.append(f"{name}: {error}")
    return found
