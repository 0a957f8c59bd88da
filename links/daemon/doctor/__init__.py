"""``deco_link doctor``: what keeps this machine's link from working, and the fix."""
