"""The made-up figures of the demonstration: the same on every run, and plausible. Pure functions, no network.

A committee has a temper of its own: how far it is, how fast it advances and how it hands its figures in.
"""
import random

PERIODS = ("2025-Q3", "2025-Q4", "2026-Q1", "2026-Q2")
ENDS = ("2025-09-30", "2025-12-31", "2026-03-31", "2026-06-30")
LABEL = "số liệu minh họa"

TOTALS = {"DN-02": (6, 9), "DN-06A": (23, 23), "DN-06C": (30, 120)}  # ratio indicators of committees: base between
MILESTONES = ("DN-01", "DN-03", "DN-05")
CELLS = "DN-06B"
FRONT = ("DN-04", "DN-MTTQ")


def chance(*what):
    return random.Random("/".join(map(str, what)))


class Committee:
    def __init__(self, code):
        self.code = code
        temper = chance("committee", code)
        self.start = temper.uniform(0.25, 0.75)
        self.pace = temper.uniform(0.03, 0.20)
        # connector: its figures come through the province's connector; sheet: a filled-in entry sheet; hand: one by one
        self.way = temper.choices(("connector", "sheet", "hand"), (55, 30, 15))[0]
        self.late = temper.random() < 0.08    # hands in a quarter late, and the last one not at all
        self.absent = temper.random() < 0.03  # never hands in

    def level(self, quarter, *what):
        noise = chance("noise", self.code, *what).uniform(-0.12, 0.12)
        return min(1.0, max(0.0, self.start + noise + self.pace * (quarter + 1)))

    def ratio(self, indicator, unit, quarter, base):
        return {"numerator": round(base * self.level(quarter, indicator, unit)), "denominator": base}

    def own(self, quarter):
        """The committee's own figures of a quarter: (indicator, unit, value)."""
        for indicator, (low, high) in TOTALS.items():
            base = chance("base", indicator, self.code).randint(low, high)
            yield indicator, self.code, self.ratio(indicator, self.code, quarter, base)
        for indicator in MILESTONES:
            when = chance("done", indicator, self.code).uniform(-0.5, 7.5) / (0.5 + self.start)
            done = when <= quarter
            yield indicator, self.code, {"done_on": ENDS[max(0, int(when))]} if done else {"done": False}

    def below(self, quarter, cells):
        """The figures of its cells, which the committee enters: some are missing, some do not apply."""
        for cell in cells:
            fate = chance("fate", cell, quarter).random()
            if fate < 0.03:
                continue
            if fate < 0.045:
                yield CELLS, cell, {"state": "not_applicable", "note": f"Chi bộ đang sáp nhập trong quý ({LABEL})"}
            else:
                yield CELLS, cell, self.ratio(CELLS, cell, quarter, chance("members", cell).randint(7, 45))

    def plays(self, played):
        """The quarters handed in while quarter number `played` is the latest."""
        if self.absent:
            return []
        if self.late:
            return [played - 1] if played else []
        return [played]


def labelled(value):
    return {"state": "reported", "source": LABEL, **value}
