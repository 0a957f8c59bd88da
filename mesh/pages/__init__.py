"""What the pages of all apps have in common: their stylesheet, and tags of their templates."""
