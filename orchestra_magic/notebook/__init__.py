"""IPython and ipywidgets: the magics and the form, on top of the client."""
