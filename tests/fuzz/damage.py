"""Damage to bytes, as hypothesis draws it."""

from hypothesis import strategies as st


@st.composite
def alterations(draw):
    """Return a function that damages bytes: flips, cuts, repeats, inserts, truncates."""
    where = draw(st.lists(st.floats(0, 1, exclude_max=True), min_size=1, max_size=4))
    kinds = draw(st.lists(st.sampled_from(["flip", "cut", "repeat", "insert", "truncate"]),
                          min_size=len(where), max_size=len(where)))  # fmt: skip
    what = draw(st.binary(min_size=1, max_size=8))

    def alter(data):
        for place, kind in zip(where, kinds, strict=True):
            i = int(place * len(data))
            if kind == "flip":
                data = data[:i] + what[:1] + data[i + 1 :]
            elif kind == "cut":
                data = data[:i] + data[i + len(what) :]
            elif kind == "repeat":
                data = data[:i] + data[max(0, i - 50) : i] * 3 + data[i:]
            elif kind == "insert":
                data = data[:i] + what + data[i:]
            else:
                data = data[:i]
        return data

    return alter
