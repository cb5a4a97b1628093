"""Records in; text, HTML and SVG out. Standard library only, no input or output."""
