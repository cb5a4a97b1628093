"""The embedded Orchestra: a server on loopback that answers the same API and runs graphs."""
