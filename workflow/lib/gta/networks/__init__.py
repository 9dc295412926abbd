"""Published networks: what their folders hold, and loading them whole."""
