"""Hypothesis measures no time here: the machine may be busy with other things."""

from hypothesis import HealthCheck, settings

settings.register_profile("links", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("links")
