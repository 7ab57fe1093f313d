"""The restricted reader: equal to numpy's own for honest files, and nothing runs for the others."""

from __future__ import annotations

import builtins
import copyreg
import io
import os
import pickle
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from wsl.cam.sources import safe_pickle
from wsl.cam.sources.safe_pickle import MAX_INSTRUCTIONS, read_pickled_dict
from wsl.errors import DataError

HONEST: dict[str, dict[Any, Any]] = {
    "arrays": {"a": np.arange(6, dtype=np.float32).reshape(2, 3), "b": np.zeros((0, 2)), "c": np.float16([0.5])},
    "orders": {"fortran": np.asfortranarray(np.arange(12.0).reshape(3, 4)), "big": np.arange(3, dtype=">f4")},
    "views": {"cropped": np.arange(20.0).reshape(4, 5)[:, 1:4], "flipped": np.arange(5)[::-1]},
    "tensors": {"keys": torch.nonzero(torch.tensor([0, 1, 1]))[:, 0], "cam": torch.rand(2, 3, 4)[:, :, 1:]},
    "shared": dict.fromkeys(("one", "two"), torch.arange(5.0)),
    "kinds": {"flags": torch.tensor([True, False]), "half": torch.tensor([1.5]).half(), "empty": torch.zeros(0, 3)},
    "classes": {3: np.ones((2, 2), np.float32), np.int64(4): np.zeros((2, 2))},
    "numbers": {"keys": [1, 2], "score": np.float64(0.25), "name": "x", "nothing": None},
}


def write_pickle(path: Path, content: bytes) -> Path:
    """An .npy file with this pickle."""
    with path.open("wb") as stream:
        np.lib.format.write_array_header_1_0(stream, {"descr": "|O", "fortran_order": False, "shape": ()})
        stream.write(content)
    return path


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("name", HONEST)
def test_honest_files_are_read_as_numpy_reads_them(name: str, tmp_path: Path) -> None:
    np.save(tmp_path / "maps.npy", HONEST[name])  # type: ignore[arg-type]
    found = read_pickled_dict(tmp_path / "maps.npy")
    expected = np.load(tmp_path / "maps.npy", allow_pickle=True).item()
    assert list(found) == list(expected)
    for key, value in expected.items():
        if isinstance(value, (np.ndarray, torch.Tensor)):
            assert isinstance(found[key], np.ndarray)
            np.testing.assert_array_equal(found[key], np.asarray(value), strict=True)
        else:
            assert found[key] == value


@pytest.mark.parametrize("protocol", [3, 4])
def test_protocols_that_numpy_writes_are_read(protocol: int, tmp_path: Path) -> None:
    content = pickle.dumps(np.array({"keys": np.arange(2)}, object), protocol)
    assert read_pickled_dict(write_pickle(tmp_path / "a.npy", content))["keys"].tolist() == [0, 1]


def test_names_of_both_numpy_versions_are_known(tmp_path: Path) -> None:
    content = pickle.dumps(np.array({"a": np.float32(0.5), "b": np.arange(3)}, object), 3)
    new, old = b"cnumpy._core.multiarray\n", b"cnumpy.core.multiarray\n"
    content = content.replace(old, new)
    for version in (content, content.replace(new, old)):
        assert read_pickled_dict(write_pickle(tmp_path / "a.npy", version))["a"] == 0.5


# --- what must not run ----------------------------------------------------------------------------------------------


class Calls:
    """Pickles as a call."""

    def __init__(self, function: Any, *arguments: Any) -> None:
        self.call = (function, arguments)

    def __reduce__(self) -> Any:
        return self.call


def touch(marker: Path) -> Calls:
    return Calls(os.system, f"touch {marker}")


def name_call(module: str, name: str, argument: str, opcode: bytes = b"R") -> bytes:
    """A call of module.name(argument) by its dotted name, as protocol 4 finds it."""
    text = b"".join(b"\x8c" + bytes([len(word)]) + word.encode() for word in (module, name))
    words = b"\x8c" + bytes([len(argument)]) + argument.encode()
    return b"\x80\x04" + text + b"\x93" + words + b"\x85" + opcode + b"."


def torch_file(value: Any) -> bytes:
    """The older file format of torch around any pickle."""
    stream = io.BytesIO()
    torch.save(value, stream, _use_new_zipfile_serialization=False)
    return stream.getvalue()


def storage_call(content: bytes) -> bytes:
    """A pickled storage with these bytes."""
    size = len(content).to_bytes(4, "little")
    return b"\x80\x03}X\x01\x00\x00\x00actorch.storage\n_load_from_bytes\nB" + size + content + b"\x85Rs."


def refused(path: Path) -> str:
    with pytest.raises(DataError) as caught:
        read_pickled_dict(path)
    assert str(path) in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(
    ("function", "name"),
    [
        (os.system, "posix.system"),
        (builtins.eval, "builtins.eval"),
        (builtins.getattr, "builtins.getattr"),
        (np.load, "numpy.load"),
        (np.fromfile, "fromfile"),
        (copyreg._reconstructor, "copyreg._reconstructor"),  # type: ignore[attr-defined]
        (torch.load, "torch.serialization.load"),
        (np.zeros, "zeros"),
    ],
)
@pytest.mark.parametrize("nested", [False, True])
def test_calls_of_other_names_are_refused(function: Any, name: str, nested: bool, tmp_path: Path) -> None:
    marker = tmp_path / "ran"
    argument = f"touch {marker}" if function is os.system else f"open({str(marker)!r}, 'w')"
    call = Calls(function, Calls(function, argument) if nested else argument)
    np.save(tmp_path / "maps.npy", {"keys": np.arange(2), "cam": call})  # type: ignore[arg-type]
    assert name in refused(tmp_path / "maps.npy")
    assert not marker.exists()


def test_the_malicious_files_of_these_tests_would_run(tmp_path: Path) -> None:
    """Proof that the markers mean something: numpy's own reader does run them."""
    np.save(tmp_path / "maps.npy", {"cam": touch(tmp_path / "ran")})  # type: ignore[arg-type]
    np.load(tmp_path / "maps.npy", allow_pickle=True)
    assert (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    ("module", "name"),
    [
        ("torch._utils", "_rebuild_tensor_v2.__globals__"),
        ("numpy", "ndarray.__class__.__subclasses__"),
        ("numpy.core", "multiarray.scalar"),
        ("wsl.cam.sources.safe_pickle", "io.open"),
    ],
)
def test_dotted_names_are_refused(module: str, name: str, tmp_path: Path) -> None:
    path = write_pickle(tmp_path / "a.npy", name_call(module, name, str(tmp_path / "ran")))
    assert f"{module}.{name}" in refused(path)
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    ("content", "instruction"),
    [
        (b"\x80\x02(X\x01\x00\x00\x00xiposix\nsystem\n.", "INST posix system"),
        (b"\x80\x02(cposix\nsystem\nX\x01\x00\x00\x00xo.", "OBJ"),
        (b"\x80\x02cposix\nsystem\n)\x81.", "NEWOBJ"),
        (b"\x80\x02Pmodule\n.", "PERSID"),
        (b"\x80\x02K\x01Q.", "BINPERSID"),
        (b"\x80\x02\x82\x01.", "EXT1"),
        (b"\x80\x05\x97.", "NEXT_BUFFER"),
        (b"\x80\x02]2.", "DUP"),
    ],
)
def test_instructions_that_maps_do_not_need_are_refused(content: bytes, instruction: str, tmp_path: Path) -> None:
    assert instruction in refused(write_pickle(tmp_path / "a.npy", content))


def test_extension_codes_are_refused(tmp_path: Path) -> None:
    copyreg.add_extension("posix", "system", 1)
    try:
        np.save(tmp_path / "maps.npy", {"cam": touch(tmp_path / "ran")})  # type: ignore[arg-type]
    finally:
        copyreg.remove_extension("posix", "system", 1)
    assert "EXT1" in refused(tmp_path / "maps.npy")
    assert not (tmp_path / "ran").exists()


def test_storages_are_not_unpickled(tmp_path: Path) -> None:
    """torch's own reader of pickled storages unpickles anything; ours takes weights only."""
    marker = tmp_path / "ran"
    plain = pickle.dumps(touch(marker), 2)
    inside = torch_file({"a": touch(marker)})
    zipped = io.BytesIO()
    torch.save({"a": touch(marker)}, zipped)
    for content in (plain, inside, inside[: inside.index(b"touch")], zipped.getvalue()):
        refused(write_pickle(tmp_path / "a.npy", storage_call(content)))
    assert not marker.exists()


def test_a_storage_must_be_a_storage_of_plain_numbers(tmp_path: Path) -> None:
    for value in ({"a": 1}, [torch.zeros(1)], torch.zeros(2)):
        assert "storage" in refused(write_pickle(tmp_path / "a.npy", storage_call(torch_file(value))))


@pytest.mark.parametrize("name", [f"c{module}\n{name}\n" for module, name in safe_pickle.ALLOWED])
@pytest.mark.parametrize("state", [b"}(X\x06\x00\x00\x00_buildNu", b"N}(X\x06\x00\x00\x00_buildNu\x86", b"K\x01"])
def test_allowed_names_cannot_be_changed(name: str, state: bytes, tmp_path: Path) -> None:
    before = {key: each._build for key, each in safe_pickle.ALLOWED.items()}
    message = refused(write_pickle(tmp_path / "a.npy", b"\x80\x02" + name.encode() + state + b"b."))
    assert "cannot be changed" in message
    assert {key: each._build for key, each in safe_pickle.ALLOWED.items()} == before


def test_built_objects_cannot_be_changed(tmp_path: Path) -> None:
    array = b"cnumpy\ndtype\nX\x02\x00\x00\x00f4\x85R"
    refused(write_pickle(tmp_path / "a.npy", b"\x80\x02" + array + b"}(X\x05\x00\x00\x00dtypeNub."))
    content = pickle.dumps(np.array({"a": np.arange(2)}, object), 3)
    again = content[:-1] + b"(K\x01)NNNtb."
    assert "twice" in refused(write_pickle(tmp_path / "a.npy", again))


def test_nothing_is_called_but_the_listed_builders(tmp_path: Path) -> None:
    assert "only an argument" in refused(
        write_pickle(tmp_path / "a.npy", b"\x80\x02cnumpy\nndarray\nJ\xff\xff\xff\x7f\x85\x85R.")
    )


def test_the_ordered_dict_of_a_tensor_holds_nothing(tmp_path: Path) -> None:
    np.save(tmp_path / "maps.npy", {"a": OrderedDict(b=touch(tmp_path / "ran"))})  # type: ignore[arg-type]
    refused(tmp_path / "maps.npy")
    assert not (tmp_path / "ran").exists()


# --- damage and size ------------------------------------------------------------------------------------------------


def test_damage_is_a_data_error(tmp_path: Path) -> None:
    np.save(tmp_path / "maps.npy", {"keys": torch.arange(2), "cam": np.random.default_rng(0).random((2, 3, 3))})  # type: ignore[arg-type]
    content = (tmp_path / "maps.npy").read_bytes()
    for length in [*range(0, len(content), 13), len(content) - 1]:
        (tmp_path / "cut.npy").write_bytes(content[:length])
        refused(tmp_path / "cut.npy")


@pytest.mark.filterwarnings("ignore")  # torch warns of odd protocol numbers
def test_any_changed_byte_is_read_or_refused(tmp_path: Path) -> None:
    np.save(tmp_path / "maps.npy", {"keys": torch.arange(2), "cam": np.zeros((1, 2)), 3: np.int64(2)})  # type: ignore[arg-type]
    content, rng = (tmp_path / "maps.npy").read_bytes(), np.random.default_rng(1)
    path, outcomes = tmp_path / "changed.npy", set()
    for _ in range(300):
        changed = bytearray(content)
        for place in rng.integers(0, len(content), rng.integers(1, 4)):
            changed[place] = rng.integers(0, 256)
        path.write_bytes(changed)
        try:
            outcomes.add(type(read_pickled_dict(path)))
        except DataError:
            outcomes.add(DataError)
    assert outcomes == {dict, DataError}


def test_promised_sizes_are_checked_before_memory_is_taken(tmp_path: Path) -> None:
    content = pickle.dumps(np.array({"a": np.zeros((3, 3), np.float32)}, object), 3)
    huge = content.replace(b"K\x03K\x03\x86", b"J\xff\xff\xff\x7fJ\xff\xff\xff\x7f\x86")
    assert huge != content
    assert "bytes for an array" in refused(write_pickle(tmp_path / "a.npy", huge))
    memo = b"\x80\x02}r\xff\xff\xff\x7f."
    assert "instructions" in refused(write_pickle(tmp_path / "a.npy", memo))
    many = b"\x80\x02" + b"]" * MAX_INSTRUCTIONS + b"."
    assert "instructions" in refused(write_pickle(tmp_path / "a.npy", many))


def test_tensors_stay_within_their_storage(tmp_path: Path) -> None:
    np.save(tmp_path / "maps.npy", {"a": torch.arange(4.0).expand(1 << 20, 1 << 12, 4)})  # type: ignore[arg-type]
    assert "within its 4 numbers" in refused(tmp_path / "maps.npy")
    np.save(tmp_path / "maps.npy", {"a": torch.arange(4.0)[1:]})  # type: ignore[arg-type]
    content = (tmp_path / "maps.npy").read_bytes()
    assert content.count(b"K\x01K\x03\x85") == 1  # offset 1, size (3,)
    (tmp_path / "maps.npy").write_bytes(content.replace(b"K\x01K\x03\x85", b"K\x02K\x03\x85"))
    assert "within its 4 numbers" in refused(tmp_path / "maps.npy")


@pytest.mark.parametrize(
    "value", [np.zeros(3, object), np.array("text", object), np.array({(1, 2): 3}, object), np.zeros((2, 2))]
)
def test_other_content_is_refused(value: Any, tmp_path: Path) -> None:
    np.save(tmp_path / "maps.npy", value)
    assert "dictionary" in refused(tmp_path / "maps.npy")


def test_object_arrays_inside_are_refused(tmp_path: Path) -> None:
    np.save(tmp_path / "maps.npy", {"a": np.array(["x", None], object)})  # type: ignore[arg-type]
    refused(tmp_path / "maps.npy")
    np.save(tmp_path / "maps.npy", {"a": np.array(["x"])})  # type: ignore[arg-type]
    assert "dtype" in refused(tmp_path / "maps.npy")


def test_file_size_is_limited(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    np.save(tmp_path / "maps.npy", {"a": 1})  # type: ignore[arg-type]
    monkeypatch.setattr("wsl.cam.sources.limits.MAX_BYTES", 100)
    assert "at most 100" in refused(tmp_path / "maps.npy") or "1 to 100 bytes" in refused(tmp_path / "maps.npy")
