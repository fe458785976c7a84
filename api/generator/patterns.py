"""Regular expressions as tables over bytes.

A pattern of the contract becomes a deterministic automaton, so that matching is one look-up a byte, in constant memory
and without a lock. The subset: literals, classes, groups, alternatives, ?, *, +, {m,n}, ^ at the very start and $ at the
very end. A dot or a negated class takes any one character outside ASCII, in whole UTF-8 sequences."""

import re
from re import _constants as c
from re import _parser as parser

MAX_STATES = 4000
CATEGORIES = {
    c.CATEGORY_DIGIT: set(range(48, 58)),
    c.CATEGORY_WORD: set(range(48, 58)) | set(range(65, 91)) | {95} | set(range(97, 123)),
    c.CATEGORY_SPACE: {9, 10, 11, 12, 13, 32},
}
# Every character past ASCII, as sequences of byte ranges.
BEYOND_ASCII = [
    [(0xC2, 0xDF), (0x80, 0xBF)],
    [(0xE0, 0xEF), (0x80, 0xBF), (0x80, 0xBF)],
    [(0xF0, 0xF4), (0x80, 0xBF), (0x80, 0xBF), (0x80, 0xBF)],
]


class Unsupported(Exception):
    pass


class Nfa:
    def __init__(self):
        self.empty = []  # state -> states reached without a byte
        self.edges = []  # state -> [(set of bytes, state)]

    def state(self):
        self.empty.append([])
        self.edges.append([])
        if len(self.edges) > 20 * MAX_STATES:
            raise Unsupported("is too large")
        return len(self.edges) - 1

    def path(self, start, ranges):
        """Edges for a sequence of byte ranges from start; returns where it ends."""
        for low, high in ranges:
            to = self.state()
            self.edges[start].append((frozenset(range(low, high + 1)), to))
            start = to
        return start

    def characters(self, start, members, negated):
        """One character out of a set of code points; beyond ASCII a negated set takes everything."""
        end = self.state()
        ascii_members = {m for m in members if m < 128}
        others = sorted(m for m in members if m >= 128)
        if negated:
            if others:
                raise Unsupported("has a negated class with characters beyond ASCII")
            ascii_members = set(range(1, 128)) - ascii_members
            for sequence in BEYOND_ASCII:
                self.empty[self.path(start, sequence)].append(end)
        for member in others:
            encoded = chr(member).encode()
            self.empty[self.path(start, [(b, b) for b in encoded])].append(end)
        if ascii_members:
            self.edges[start].append((frozenset(ascii_members), end))
        return end

    def node(self, start, op, value):
        if op is c.LITERAL:
            return self.characters(start, {value}, False)
        if op is c.NOT_LITERAL:
            return self.characters(start, {value}, True)
        if op is c.ANY:
            return self.characters(start, {10, 13}, True)
        if op is c.IN:
            return self.characters(start, *self.members(value))
        if op is c.SUBPATTERN:
            return self.sequence(start, value[3])
        if op is c.BRANCH:
            end = self.state()
            for branch in value[1]:
                entry = self.state()
                self.empty[start].append(entry)
                self.empty[self.sequence(entry, branch)].append(end)
            return end
        if op is c.MAX_REPEAT:
            return self.repeat(start, *value)
        raise Unsupported(f"uses {str(op).lower()}, which is outside the subset")

    @staticmethod
    def members(items):
        members, negated = set(), False
        for op, value in items:
            if op is c.NEGATE:
                negated = True
            elif op is c.LITERAL:
                members.add(value)
            elif op is c.RANGE and value[1] - value[0] <= 1024:
                members.update(range(value[0], value[1] + 1))
            elif op is c.CATEGORY and value in CATEGORIES:
                members.update(CATEGORIES[value])
            else:
                raise Unsupported(f"has a class with {op} {value}, which is outside the subset")
        return members, negated

    def repeat(self, start, least, most, body):
        for _ in range(least):
            start = self.sequence(start, body)
        if most is c.MAXREPEAT:
            loop = self.state()
            self.empty[start].append(loop)
            self.empty[self.sequence(loop, body)].append(loop)
            return loop
        end = self.state()
        for _ in range(most - least):
            self.empty[start].append(end)
            entry = self.state()
            self.empty[start].append(entry)
            start = self.sequence(entry, body)
        self.empty[start].append(end)
        return end

    def sequence(self, start, nodes):
        for op, value in nodes:
            start = self.node(start, op, value)
        return start

    def anything(self, start):
        loop = self.state()
        self.empty[start].append(loop)
        self.edges[loop].append((frozenset(range(1, 256)), loop))
        return loop

    def closure(self, states):
        todo, seen = list(states), set(states)
        while todo:
            for to in self.empty[todo.pop()]:
                if to not in seen:
                    seen.add(to)
                    todo.append(to)
        return frozenset(seen)


def build(text):
    """The automaton of a pattern: (classes, rows, accepts); state 0 is dead, 1 the start."""
    try:
        tree = parser.parse(text)
        nodes = list(tree)
    except Exception as error:
        raise Unsupported(f"is no regular expression ({error})") from None
    if tree.state.flags & ~re.UNICODE:
        raise Unsupported("sets flags")
    nfa = Nfa()
    first = start = nfa.state()
    if nodes and nodes[0] == (c.AT, c.AT_BEGINNING):
        nodes.pop(0)
    else:
        start = nfa.anything(start)
    open_end = not (nodes and nodes[-1] == (c.AT, c.AT_END))
    if not open_end:
        nodes.pop()
    end = nfa.sequence(start, nodes)
    if open_end:
        end = nfa.anything(end)
    return determinise(nfa, first, end)


def determinise(nfa, first, end):
    begin = nfa.closure({first})
    number, todo, rows = {frozenset(): 0, begin: 1}, [begin], {0: [0] * 256}
    while todo:
        states = todo.pop()
        reach = [set() for _ in range(256)]
        for state in states:
            for members, to in nfa.edges[state]:
                for byte in members:
                    reach[byte].add(to)
        row, known = [], {}
        for targets in reach:
            key = frozenset(targets)
            if key not in known:
                known[key] = nfa.closure(key)
            closed = known[key]
            if closed not in number:
                number[closed] = len(number)
                todo.append(closed)
                if len(number) > MAX_STATES:
                    raise Unsupported("is too large")
            row.append(number[closed])
        rows[number[states]] = row
    table = [rows[i] for i in range(len(number))]
    accepts = [0] * len(number)
    for states, i in number.items():
        accepts[i] = int(end in states)
    return compress(table, accepts)


def compress(table, accepts):
    """Bytes that no state tells apart share a class."""
    columns, classes, kept = {}, [], []
    for byte in range(256):
        column = tuple(row[byte] for row in table)
        if column not in columns:
            columns[column] = len(columns)
            kept.append(byte)
        classes.append(columns[column])
    return classes, [[row[byte] for byte in kept] for row in table], accepts
