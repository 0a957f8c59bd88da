"""A stand-in for a model, on loopback: speaks a provider's API, answers by a script."""

from tests.standin.server import Standin, serving, serving_in_thread

__all__ = ["Standin", "serving", "serving_in_thread"]
