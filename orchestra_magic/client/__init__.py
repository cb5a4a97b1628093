"""The HTTP client: no IPython, no widgets. Works in scripts, servers and marimo alike.

The way of a start: :mod:`inputs` and :mod:`substitution` make a dict, :mod:`orchestra` checks and journals
it, :mod:`api` builds and sends, and a :class:`~orchestra_magic.client.run.Run` comes back.
"""
