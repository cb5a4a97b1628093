"""Inputs become fields: a kind for each input, a control for each kind, and what was typed a value."""

from .control import EMPTY
from .field import Field, label_of, label_width

__all__ = ["EMPTY", "Field", "label_of", "label_width"]
