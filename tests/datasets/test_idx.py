import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from al_tf.datasets._idx import parse_idx
from al_tf.errors import DataCorruptError

from .makers import idx


def test_what_is_written_is_read():
    images = np.arange(2 * 3 * 4).reshape(2, 3, 4)
    assert (parse_idx(idx(images), 3, "file") == images).all()
    assert parse_idx(idx(np.array([5, 6])), 1, "file").tolist() == [5, 6]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", r"file: expected an IDX .*\(first bytes 00 00 08 01\), found an empty file"),
        (b"\x1f\x8b\x08\x00", "found 1f 8b 08 00"),
        (b"\x00\x00\x0d\x01\x00\x00\x00\x00", "found 00 00 0d 01"),  # floats
        (b"\x00\x00\x08\x03" + bytes(12), "found 00 00 08 03"),  # images for labels
        (b"\x00\x00\x08\x01\x00", "truncated; expected an IDX header of 8 bytes, found 5"),
        (b"\x00\x00\x08\x01\x00\x00\x00\x03ab", r"declares shape \(3,\), .* 11 bytes; found 10"),
        (b"\x00\x00\x08\x01\x00\x00\x00\x01ab", r"declares shape \(1,\), .* 9 bytes; found 10"),
        (b"\x00\x00\x08\x01\xff\xff\xff\xffab", "takes 4294967303 bytes; found 10"),
    ],
)
def test_other_bytes_are_refused_with_what_was_expected_and_found(data, message):
    with pytest.raises(DataCorruptError, match=message):
        parse_idx(data, 1, "file")


@given(st.binary(max_size=64), st.integers(1, 3))
def test_any_bytes_end_in_an_array_or_in_our_error(tail, ndim):
    for data in (tail, bytes([0, 0, 8, ndim]) + tail):
        try:
            array = parse_idx(data, ndim, "file")
        except DataCorruptError:
            continue
        assert array.ndim == ndim
        assert array.size <= len(data)
