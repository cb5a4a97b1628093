"""The HTTP client: no IPython, no widgets. Works in scripts, servers and marimo alike."""
