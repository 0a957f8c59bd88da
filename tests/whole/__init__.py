"""The whole of Mesh in its real processes, as a newcomer starts it."""
