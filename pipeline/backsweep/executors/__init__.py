"""Where blocks run: in this process, in several of this machine."""
