"""Whether a session of version 2 is at work, and on whose behalf."""

from __future__ import annotations


class Foreground:
    """Follows the states of one session: a turn has ended when its work has.

    An agent may work without having been asked, and repeat a state at any time. So an idle state
    ends our turn only after the agent has taken our message, or has begun to work since.
    """

    def __init__(self) -> None:
        self.is_busy = False
        self.is_of_another = False  # it works on something else, and has our message still to take
        self._is_ours = False

    def prompt(self) -> None:
        """A message was sent."""
        self.is_of_another, self._is_ours = self.is_busy, False

    def taken(self) -> None:
        """The agent has taken the message; what it says from now on is the answer."""
        self.is_of_another, self._is_ours = False, True

    def note(self, state: str) -> bool:
        """Take the state that the agent is in now; return whether it ends our turn."""
        self.is_busy = state != "idle"
        if self.is_busy:
            self._is_ours |= not self.is_of_another
            return False
        is_end, self.is_of_another = self._is_ours and not self.is_of_another, False
        return is_end
