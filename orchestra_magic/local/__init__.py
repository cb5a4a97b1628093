"""The embedded Orchestra: a server on loopback that answers the documented API and runs graphs durably.

It is a process of its own (``orchestra-local``) and shares nothing with the client but HTTP and the file
:func:`orchestra_magic.paths.server_file`. It needs the extra ``local``.
"""
