"""Keys of AI providers: kept sealed, tested, chosen for a tier."""
