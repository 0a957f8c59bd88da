"""Two ends of a tunnel, joined in memory."""

from collections import defaultdict, deque

from links.wire.heads import AnswerHead, RequestHead
from links.wire.tunnel import Answered, Ended, Opened, Received, Reset, Tunnel

GET = RequestHead("GET", "/", [])
OK = AnswerHead(200, [])


class End:
    """One tunnel and what its reader has seen of each stream."""

    def __init__(self, side, window):
        self.tunnel = Tunnel(side, {}, window=window)
        self.events = []
        self.opened = []
        self.answered = {}
        self.unread = defaultdict(deque)
        self.got = defaultdict(bytes)
        self.ended = set()
        self.resets = {}

    def hear(self, message):
        for event in self.tunnel.receive(message):
            self.events.append(event)
            match event:
                case Opened():
                    self.opened.append(event.stream)
                case Answered():
                    self.answered[event.stream] = event.head
                case Received():
                    self.unread[event.stream].append(event.data)
                case Ended():
                    self.ended.add(event.stream)
                case Reset():
                    self.resets[event.stream] = event.code

    def read(self, stream):
        """Take one chunk, as a reader does; tell whether there was one."""
        if not self.unread[stream]:
            return False
        data = self.unread[stream].popleft()
        self.got[stream] += data
        self.tunnel.consumed(stream, data)
        return True

    def read_all(self):
        for stream in list(self.unread):
            while self.read(stream):
                pass


class Pair:
    def __init__(self, *, window=100, greeted=True):
        self.server, self.laptop = End("server", window), End("laptop", window)
        if greeted:
            self.carry()

    def step(self, speaker, listener):
        """Carry one message; tell whether there was one."""
        message = speaker.tunnel.pull()
        if message is not None:
            listener.hear(message)
        return message is not None

    def carry(self):
        """Carry everything that may be said, without anyone reading."""
        while self.step(self.server, self.laptop) | self.step(self.laptop, self.server):
            pass

    def settle(self):
        """Carry and read until nothing moves any more."""
        while True:
            self.carry()
            before = (dict(self.server.got), dict(self.laptop.got))
            self.server.read_all()
            self.laptop.read_all()
            if before == (dict(self.server.got), dict(self.laptop.got)):
                return

    def opened(self, head=GET):
        """Return a stream that the server opened and the laptop has seen."""
        stream = self.server.tunnel.open(head)
        self.carry()
        return stream
