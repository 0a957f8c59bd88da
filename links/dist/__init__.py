"""The laptop's program as the server hands it out: one wheel, and the command that installs it."""
