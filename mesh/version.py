"""The version of Mesh: of the server, and of the programs a laptop runs."""

VERSION = "0.1.0"
