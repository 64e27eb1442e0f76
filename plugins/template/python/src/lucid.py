"""The small layer between a plugin's functions and the component that they become.

`lucid plugin build` writes the code that calls it, from `wit/world.wit`.
"""

import functools

# The standard library loads these only when they are used, which is too late: see `_words`.
import _strptime  # noqa: F401


def tool(plugin, name, failure, error, report):
    """The method of the component for the plugin's function of this name.

    What it raises becomes the error that the model reads, where its type in WIT is
    `result<_, string>`: as an `error`. Elsewhere `report`, if there is one, shows what it was and
    the call ends.
    """
    run = getattr(plugin, name, None)
    if not callable(run):
        raise ImportError(f"src/plugin.py has no function {name}, but wit/world.wit does")

    @functools.wraps(run)
    def call(self, *values):
        try:
            return run(*values)
        except error:
            raise
        except Exception as raised:
            if failure == "text":
                raise error(_words(raised)) from raised
            if report is not None:
                report(_words(raised))
            raise

    return call


def _words(raised):
    words = str(raised) or type(raised).__name__
    if isinstance(raised, ImportError):
        return words + "; modules are loaded while building, so import it at the top of src/plugin.py"
    return words
