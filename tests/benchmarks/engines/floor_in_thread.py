"""The floor with its commits in a thread, so that its event loop answers while the disk is busy."""

from floor import main

main(threaded=True)
