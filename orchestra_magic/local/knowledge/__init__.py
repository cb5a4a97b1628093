"""Knowledge bases: documents are read, cut into chunks, and searched by their words."""
