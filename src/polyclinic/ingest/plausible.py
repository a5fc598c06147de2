"""Ages and dates of birth: units, and those that no patient has."""

from datetime import date

#: The longest documented life is that of Jeanne Calment, 122 years and 164 days.
OLDEST_YEARS = 123
DAYS_PER_YEAR = 365.25

_UNITS = {
    1: ("years", "year", "yr", "yrs", "y", "a"),
    12: ("months", "month", "mo"),
    DAYS_PER_YEAR / 7: ("weeks", "week", "wk"),
    DAYS_PER_YEAR: ("days", "day", "d"),
}
#: Years per unit of age.
YEARS_PER_UNIT = {unit: 1 / number for number, units in _UNITS.items() for unit in units}

#: Days that databases and programs store for an unknown date.
PLACEHOLDERS = (
    date(1, 1, 1), date(1000, 1, 1), date(1111, 11, 11), date(1582, 10, 15), date(1600, 1, 1), date(1601, 1, 1),
    date(1700, 1, 1), date(1753, 1, 1), date(1800, 1, 1), date(1840, 12, 31), date(1841, 1, 1), date(1850, 1, 1),
    date(1858, 11, 17), date(1899, 12, 30), date(1899, 12, 31), date(1900, 1, 1), date(1900, 1, 2), date(1901, 1, 1),
    date(1904, 1, 1), date(2999, 12, 31), date(3000, 1, 1), date(9999, 1, 1), date(9999, 12, 31),
)  # fmt: skip
