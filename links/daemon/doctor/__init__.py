"""``deco_link doctor``: what stands between this machine and a working link, and the fix."""
