"""The pages of an organization's people."""
