"""Many callers at the same moment."""
import threading
import time
from concurrent.futures import ThreadPoolExecutor


def together(callers, act):
    """act(caller, i) for every caller at once, connections open beforehand; the results in order."""
    barrier = threading.Barrier(len(callers))

    def one(i):
        callers[i].http.open()
        barrier.wait(30)
        return act(callers[i], i)

    with ThreadPoolExecutor(len(callers)) as pool:
        return [done.result() for done in [pool.submit(one, i) for i in range(len(callers))]]


def patient(act, seconds=60):
    """act() again while it is answered 503, as Retry-After asks: busy is not wrong."""
    until = time.monotonic() + seconds
    while True:
        answer = act()
        if answer.status != 503 or time.monotonic() > until:
            return answer
        assert answer.header("Retry-After") is not None, answer
        time.sleep(0.05)


def wait_for(check, seconds=60, every=0.05):
    """The first true result of check(); what it is then asked for comes in moments, or on a loaded machine in many."""
    until = time.monotonic() + seconds
    while True:
        found = check()
        if found or time.monotonic() > until:
            return found
        time.sleep(every)


class Background:
    """act() over and over in a thread until the block ends; what it gave stands in results."""

    def __init__(self, act):
        self.act, self.results, self.error = act, [], None
        self.stopping = threading.Event()
        self.thread = threading.Thread(target=self._run, daemon=True)

    def _run(self):
        try:
            while not self.stopping.is_set():
                self.results.append(self.act())
        except BaseException as error:  # noqa: BLE001 - told to the test
            self.error = error

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, kind, *_):
        self.stopping.set()
        self.thread.join(60)
        if kind is None and self.error is not None:
            raise self.error
