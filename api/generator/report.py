"""What is wrong, all of it at once: each entry names its file, the place in it and the reason."""


class Report:
    def __init__(self):
        self.faults = []

    def add(self, file, where, reason):
        text = f"{file}: {where}: {reason}" if where else f"{file}: {reason}"
        if text not in self.faults:
            self.faults.append(text)


class Stop(Exception):
    """Nothing further can be checked."""
