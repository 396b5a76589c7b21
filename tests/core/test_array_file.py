"""Arrays come back from files bit by bit, whatever other threads parse; damage is told."""

from __future__ import annotations

import ast
import io
import zipfile

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from core import array_file
from core.array_file import ArrayFileError

TYPES = ("|b1", "|u1", "<i2", "<i8", ">i4", "<f2", "<f4", "<f8", ">f8", "<c8", "<U5", "|S3")


def same(one, other):
    return (one.dtype, one.shape, one.tobytes()) == (other.dtype, other.shape, other.tobytes())


@given(
    npst.arrays(
        st.sampled_from(TYPES), npst.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=4)
    ),
    st.booleans(),
)
def test_that_any_plain_array_comes_back_as_it_was(tmp_path_factory, array, is_fortran):
    folder = tmp_path_factory.getbasetemp()
    array = np.asfortranarray(array) if is_fortran else array
    with (folder / "a.npz").open("wb") as file:
        array_file.write_arrays(file, {"one": array, "two": np.arange(3)})
    two, one = array_file.read_arrays(folder / "a.npz", ("two", "one"))
    assert same(one, array)
    assert one.flags.f_contiguous == array.flags.f_contiguous
    assert one.flags.writeable
    assert two.tolist() == [0, 1, 2]
    np.save(folder / "a.npy", array)
    mapped = array_file.map_array(folder / "a.npy")
    assert same(np.asarray(mapped), array)


def test_that_a_head_written_apart_is_one_of_numpy(tmp_path):
    rows = np.arange(24, dtype=np.uint8).reshape(2, 3, 4)
    with (tmp_path / "a.npy").open("wb") as file:
        array_file.write_head(file, rows.dtype, rows.shape)
        file.write(rows.data)
    assert np.load(tmp_path / "a.npy", allow_pickle=False).tolist() == rows.tolist()
    assert array_file.map_array(tmp_path / "a.npy").tolist() == rows.tolist()


def as_npz(**members):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as file:
        for name, content in members.items():
            file.writestr(f"{name}.npy", content)
    return out.getvalue()


def as_npy(array):
    out = io.BytesIO()
    np.save(out, array, allow_pickle=True)
    return out.getvalue()


PLAIN = as_npy(np.arange(4, dtype=np.int64))
RECORD = np.zeros(2, [("a", "<f4"), ("b", "<i2")])


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"no zip at all",
        as_npz(b=PLAIN),
        as_npz(a=b""),
        as_npz(a=PLAIN[:9]),
        as_npz(a=PLAIN[:40]),
        as_npz(a=PLAIN[:-1]),
        as_npz(a=PLAIN + b"x"),
        as_npz(a=PLAIN.replace(b"\x93NUMPY\x01", b"\x93NUMPY\x09")),
        as_npz(a=PLAIN.replace(b"(4,)", b"(-4,)")),
        as_npz(a=PLAIN.replace(b"(4,)", b"(10**9,)")),
        as_npz(a=PLAIN.replace(b"(4,)", b"(999999999999,)")),
        as_npz(a=PLAIN.replace(b"<i8", b"<i7")),
        as_npz(a=PLAIN.replace(b"'<i8'", b"print(1)")),
        as_npz(a=as_npy(np.array([{}], dtype=object))),
        as_npz(a=as_npy(RECORD)),
        as_npz(a=PLAIN)[:-30],
        as_npz(a=PLAIN).replace(b"\x01\x00\x00\x00\x00\x00\x00\x00", b"\x07" + b"\x00" * 7),
    ],
)
def test_that_damage_and_other_contents_are_told(tmp_path, content):
    (tmp_path / "a.npz").write_bytes(content)
    with pytest.raises(ArrayFileError):
        array_file.read_arrays(tmp_path / "a.npz", ("a",))


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\x93NUMPY",
        PLAIN[:40],
        PLAIN[:-1],
        as_npy(RECORD),
        PLAIN.replace(b"(4,)", b"(9999999999, 999999999)"),
        PLAIN.replace(b"(4,)", b"(0, 99999999999999999, 99999999999999999)"),
    ],
)
def test_that_a_damaged_bare_array_is_told(tmp_path, content):
    (tmp_path / "a.npy").write_bytes(content)
    with pytest.raises(ArrayFileError):
        array_file.map_array(tmp_path / "a.npy")


def test_that_a_missing_file_is_the_file_systems_word(tmp_path):
    with pytest.raises(FileNotFoundError):
        array_file.read_arrays(tmp_path / "a.npz", ("a",))
    with pytest.raises(FileNotFoundError):
        array_file.map_array(tmp_path / "a.npy")


def test_that_no_source_text_is_parsed(tmp_path, monkeypatch):
    """CPython issue 106905: two threads that parse at once may get a SystemError.

    ``numpy.load`` has each head parsed; it raised in the threads that cut scans.
    """
    (tmp_path / "a.npz").write_bytes(as_npz(a=PLAIN))
    (tmp_path / "a.npy").write_bytes(PLAIN)

    def raise_as_python_does(*_arguments, **_options):
        raise SystemError("AST constructor recursion depth mismatch (before=36, after=68)")

    monkeypatch.setattr(ast, "parse", raise_as_python_does)
    with pytest.raises(SystemError):
        np.load(tmp_path / "a.npy")
    assert array_file.read_arrays(tmp_path / "a.npz", ("a",))[0].tolist() == [0, 1, 2, 3]
    assert array_file.map_array(tmp_path / "a.npy").tolist() == [0, 1, 2, 3]
