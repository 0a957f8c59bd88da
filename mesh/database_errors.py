"""What a database's errors say about the work that met them."""

from typing import Final

from django.db import Error as AnyDatabaseError
from django.db import InterfaceError, OperationalError

__all__ = ["DATABASE_AWAY", "AnyDatabaseError"]

# The database is away or busy, and the same work may succeed later. All others say that the work
# itself is wrong. Drivers raise the first for a connection that is closed, the second for one
# that breaks, can't be made, or has waited too long for a lock.
DATABASE_AWAY: Final = (InterfaceError, OperationalError)
