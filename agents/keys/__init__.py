"""Keys of AI providers: stored encrypted, tested, assigned to tiers."""
