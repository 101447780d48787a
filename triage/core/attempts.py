"""How often somebody may try: what slows down the guessing of passwords."""

from collections import OrderedDict, deque

KEYS = 10_000  # that are remembered; of more, those that tried longest ago are forgotten


class Attempts:
    """Counts tries by a key; `limit` of them within `seconds`. For one thread at a time."""

    def __init__(self, limit: int, seconds: float) -> None:
        self._limit = limit
        self._seconds = seconds
        self._tries: OrderedDict[object, deque[float]] = OrderedDict()

    def wait(self, key: object, now: float) -> float:
        """Return the seconds until *key* may try again; 0 where it may now."""
        tries = self._tries.get(key, deque())
        while tries and tries[0] <= now - self._seconds:
            tries.popleft()
        return tries[0] + self._seconds - now if len(tries) >= self._limit else 0.0

    def count(self, key: object, now: float) -> None:
        """Count a try."""
        self._tries.setdefault(key, deque(maxlen=self._limit)).append(now)
        self._tries.move_to_end(key)
        while len(self._tries) > KEYS:
            self._tries.popitem(last=False)

    def take_back(self, key: object) -> None:
        """Count the last try of *key* no more."""
        if tries := self._tries.get(key):
            tries.pop()
