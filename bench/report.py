"""Results as Markdown: medians over the rounds, with the range in brackets."""

import dataclasses
import datetime
import os
import platform
import statistics


@dataclasses.dataclass
class Column:
    key: str
    title: str
    digits: int = 0
    thousands: bool = False  # print 61234 as 61.2 k
    spread: bool = True

    def show(self, value):
        if self.thousands:
            return f"{value / 1000:.1f} k"
        return f"{value:.{self.digits}f}"

    def cell(self, values):
        if not values:
            return "-"
        text = self.show(statistics.median(values))
        if self.spread and len(values) > 1:
            text += f" [{self.show(min(values))}..{self.show(max(values))}]"
        return text


@dataclasses.dataclass
class Target:
    text: str
    value: float | None  # None: not measured
    shown: str
    met: bool

    @staticmethod
    def at_least(text, value, limit, unit=""):
        return Target(text, value, "-" if value is None else f"{value:.2f}{unit}",
                      value is not None and value >= limit)

    @staticmethod
    def at_most(text, value, limit, unit=""):
        return Target(text, value, "-" if value is None else f"{value:.2f}{unit}",
                      value is not None and value <= limit)


def values_of(rounds, key):
    """The values of a figure over the rounds. A round may have one, several or none."""
    found = []
    for measured in rounds:
        value = measured.get(key)
        if value is not None:
            found += value if isinstance(value, list) else [value]
    return found


def ratios(results, name, base, key):
    """The ratio of a figure to that of the base, per round."""
    pairs = zip(results.get(name, []), results.get(base, []))
    return [a[key] / b[key] for a, b in pairs if a.get(key) and b.get(key)]


def median(values):
    return statistics.median(values) if values else None


def markdown(head, rows):
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"


def figures_table(columns, results):
    rows = [[name] + [column.cell(values_of(rounds, column.key)) for column in columns]
            for name, rounds in results.items()]
    return markdown(["server"] + [column.title for column in columns], rows)


def ratios_table(results, key, bases):
    column = Column(key, "", digits=2)
    bases = [base for base in bases if base in results]
    rows = [[name] + [column.cell(ratios(results, name, base, key)) for base in bases]
            for name in results]
    return markdown(["server"] + [f"to {base}" for base in bases], rows)


def targets_table(targets):
    rows = [[target.text, target.shown, "not measured" if target.value is None else
             "met" if target.met else "**not met**"] for target in targets]
    return markdown(["target", "measured", ""], rows)


def first_value(path, key):
    with open(path, encoding="utf-8") as file:
        for line in file:
            name, _, value = line.replace("=", ":", 1).partition(":")
            if name.strip() == key:
                return value.strip().strip('"')
    return "unknown"


def machine():
    memory = int(first_value("/proc/meminfo", "MemTotal").split()[0]) / (1 << 20)
    return (f"{os.cpu_count()} cores of {first_value('/proc/cpuinfo', 'model name')}, "
            f"{memory:.0f} GiB, {first_value('/etc/os-release', 'PRETTY_NAME')}, "
            f"Linux {platform.release()}")


def today():
    return datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d %H:%M UTC")
