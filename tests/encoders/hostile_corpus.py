"""Pickles and torch files that mean harm, or are broken: data only, shared by tests and fuzzing."""
# ruff: noqa: E501  # A stream of opcodes reads better in one line.

import io
import os
import pickle
import pickletools
import struct
import subprocess
import zipfile
from collections.abc import Callable
from typing import Any

import torch


def saved(value, *, zipped: bool = False) -> bytes:
    stream = io.BytesIO()
    torch.save(value, stream, _use_new_zipfile_serialization=zipped)
    return stream.getvalue()


class Call:
    """Pickles as a call of ``function``."""

    def __init__(self, function, *args):
        self._call = (function, args)

    def __reduce__(self):
        return self._call


def text(value: str) -> bytes:
    raw = value.encode()
    return b"X" + struct.pack("<I", len(raw)) + raw


def name(module: str, attribute: str) -> bytes:
    return f"c{module}\n{attribute}\n".encode()


def nested_stream(inner: bytes) -> bytes:
    """A pickle that hides ``inner`` in the bytes that torch's loader would read."""
    return (
        b"\x80\x03" + name("torch.storage", "_load_from_bytes")
        + b"B" + struct.pack("<I", len(inner)) + inner + b"\x85R."
    )  # fmt: skip


def tensor_call(storage: bytes, offset: bytes, shape: bytes, strides: bytes) -> bytes:
    """A pickle of a tensor over ``storage`` (a torch stream) with these opcodes for its view."""
    return (
        b"\x80\x03" + name("torch._utils", "_rebuild_tensor_v2") + b"("
        + name("torch.storage", "_load_from_bytes")
        + b"B" + struct.pack("<I", len(storage)) + storage + b"\x85R"
        + offset + shape + strides + b"\x89" + name("collections", "OrderedDict") + b")RtR."
    )  # fmt: skip


STORAGE = max(
    (
        part
        for _, part, _ in pickletools.genops(pickle.dumps(torch.zeros(4), 3))
        if type(part) is bytes
    ),
    key=len,
)
COMMAND = "touch executed"
MODULE = "import os; os.system('touch executed')"

# What stays inert: it is read, and nothing comes of it.
INERT = {
    "os.system": pickle.dumps(Call(os.system, COMMAND), protocol=4),
    "os.system, protocol 0": pickle.dumps(Call(os.system, COMMAND), protocol=0),
    "builtins.exec": pickle.dumps(Call(exec, MODULE)),
    "builtins.eval inside a list": pickle.dumps([1, Call(eval, f"__import__('os').system('{COMMAND}')")]),
    "subprocess.Popen": pickle.dumps(Call(subprocess.Popen, ["touch", "executed"])),
    "a chain of getattr": b"\x80\x04" + name("builtins", "getattr") + name("os", "path")
    + text("join") + b"\x86R" + text("x") + b"\x85R.",
    "a call of what a call gave": b"\x80\x04" + name("functools", "partial") + name("os", "system")
    + text(COMMAND) + b"\x86R)R.",
    "a dotted name": b"\x80\x04" + text("os") + text("path.os.system") + b"\x93" + text(COMMAND) + b"\x85R.",
    "a module that does not exist": b"\x80\x04" + name("no_such_module_at_all", "thing") + b")R.",
    "a module with an effect on import": b"\x80\x04" + name("antigravity", "geohash") + b")R.",
    "new objects of a class": b"\x80\x04" + name("subprocess", "Popen") + text(COMMAND) + b"\x85\x81.",
    "new objects with keywords": b"\x80\x04" + name("subprocess", "Popen") + text(COMMAND)
    + b"\x85}\x92.",
    "source of a persistent class": pickle.dumps(
        {"G_ema": Call(Call, {"module_src": MODULE, "class_name": "G", "state": {}})}
    ).replace(b"Call", b"Evil"),
    "attributes of an object": b"\x80\x04" + name("os", "environ") + b")R}" + text("PATH") + text("")
    + b"sb.",
    "marshalled code": b"\x80\x04" + name("types", "FunctionType") + name("marshal", "loads")
    + b"C\x01\x00\x85R}\x86R)R.",
    "the importer of torch": b"\x80\x04" + name("torch", "load") + text("file") + b"\x85R.",
}  # fmt: skip


# What is refused, and why.
REFUSED = {
    "a pickle in the bytes of a torch stream": (
        nested_stream(pickle.dumps(Call(os.system, COMMAND))),
        "does not start as one",
    ),
    "a torch stream in a torch stream": (
        nested_stream(saved(Call(torch.storage._load_from_bytes, STORAGE))),
        "inside a torch stream",
    ),
    "a call where the storage should be": (
        nested_stream(saved(Call(os.system, COMMAND))),
        "something else than a storage",
    ),
    "attributes of a class": (
        b"\x80\x04" + name("collections", "OrderedDict") + b"}" + text("__init__") + b"Nsb.",
        "sets attributes of a global",
    ),
    "attributes of a number": (b"\x80\x04K\x01}b.", "sets attributes of a int"),
    "attributes of a tensor": (
        tensor_call(STORAGE, b"K\x00", b"K\x04\x85", b"K\x01\x85")[:-1] + b"}b.",
        "sets attributes of a tensorview",
    ),
    "extension 1": (b"\x80\x02\x82\x01.", "opcode 0x82"),
    "extension 2": (b"\x80\x02\x83\x01\x00.", "opcode 0x83"),
    "extension 4": (b"\x80\x02\x84\x01\x00\x00\x00.", "opcode 0x84"),
    "an instance of protocol 0": (b"(S'touch executed'\nios\nsystem\n.", "opcode 0x69"),
    "an object of protocol 1": (b"(cos\nsystem\nS'touch executed'\no.", "opcode 0x6f"),
    "a buffer outside the stream": (b"\x80\x05\x97.", "opcode 0x97"),
    "no opcode at all": (b"\x80\x02\xff.", "opcode 0xff"),
    "a persistent id outside torch": (b"\x80\x02K\x01Q.", "outside the stream"),
    "a persistent id as text": (b"(Pos.system\n.", "outside the stream"),
    "a protocol of the future": (b"\x80\x06N.", "protocol 6"),
    "the call of a text": (b"\x80\x02" + text("os.system") + b")R.", "calls a value"),
    "arguments that are no tuple": (b"\x80\x02" + name("os", "system") + b"]R.", "no tuple"),
    "a class named by a number": (b"\x80\x04K\x01K\x02\x93.", "no text"),
    "an object of a number": (b"\x80\x04K\x01)}\x92.", "no class"),
    "an odd dictionary": (b"\x80\x02}(K\x01u.", "without a value"),
    "entries of a number": (b"\x80\x02K\x01K\x02K\x03s.", "puts entries into a value"),
    "members of a number": (b"\x80\x02K\x01K\x02a.", "puts members into a value"),
    "a list as a key": (b"\x80\x02}]Ns.", "list as the key"),
    "a set of lists": (b"\x80\x04\x8f(]\x90.", "list as the key"),
    "a number too large for a key": (b"\x80\x02}\x8a\x0a" + b"\x01" * 10 + b"Ns.", "int as the key"),
    "a long memo index that is not there": (b"\x80\x02j\x00\x00\x00\x10.", "number 268435456"),
    "a negative memo index": (b"(Np-1\n.", "negative place"),
    "text of 4 EB": (b"\x80\x04\x8d" + b"\xff" * 7 + b"\x3f.", "ends in the middle"),
    "bytes of 4 EB": (b"\x80\x04\x8e" + b"\xff" * 7 + b"\x3f.", "ends in the middle"),
    "a byte array of 4 EB": (b"\x80\x05\x96" + b"\xff" * 7 + b"\x3f.", "ends in the middle"),
    "a frame of 4 EB": (b"\x80\x04\x95" + b"\xff" * 7 + b"\x3fN.", "ends in the middle"),
    "a string of a negative length": (b"\x80\x02T\xff\xff\xff\xff.", "ends in the middle"),
    "a number of a negative length": (b"\x80\x02\x8b\xff\xff\xff\xff.", "ends in the middle"),
    "a number of a million bytes": (b"\x80\x02\x8b\x40\x42\x0f\x00" + b"\x01" * 10**6 + b".", "number of 1000000 bytes"),
    "a number of many digits": (b"(I" + b"1" * 4000 + b"\n.", "number of 4000 digits"),
    "a line without end": (b"(I" + b"1" * 10000, "does not end"),
    "no number": (b"(Ix\n.", "broken: invalid literal"),
    "a string without quotes": (b"(Sabc\n.", "not quoted"),
    "an escape that Python 2 does not write": (b"(S'\\q'\n.", "not quoted"),
    "text that is no UTF-8": (b"\x80\x02X\x01\x00\x00\x00\xff.", "can't decode"),
    "a stack that is empty": (b"\x80\x02.", "do not fit together|ends in the middle"),
    "a mark that is missing": (b"\x80\x02K\x01t.", "do not fit together"),
    "a tuple of too little": (b"\x80\x02K\x01\x87.", "do not fit together"),
    "a tensor that starts behind its storage": (
        tensor_call(STORAGE, b"K\x04", b"K\x01\x85", b"K\x01\x85"), "outside its storage",
    ),
    "a tensor that is larger than its storage": (
        tensor_call(STORAGE, b"K\x00", b"K\x05\x85", b"K\x01\x85"), "outside its storage",
    ),
    "a tensor with a long stride": (
        tensor_call(STORAGE, b"K\x00", b"K\x02\x85", b"K\x04\x85"), "outside its storage",
    ),
    "a tensor with a negative stride": (
        tensor_call(STORAGE, b"K\x03", b"K\x04\x85", b"J\xff\xff\xff\xff\x85"), "no valid strides",
    ),
    "a tensor with a negative offset": (
        tensor_call(STORAGE, b"J\xff\xff\xff\xff", b"K\x04\x85", b"K\x01\x85"), "no valid offset",
    ),
    "a tensor with a text as its shape": (
        tensor_call(STORAGE, b"K\x00", text("4"), b"K\x01\x85"), "no valid shape",
    ),
    "a tensor with strides of another length": (
        tensor_call(STORAGE, b"K\x00", b"K\x04\x85", b")"), "two lengths",
    ),
    "a tensor without arguments": (
        b"\x80\x02" + name("torch._utils", "_rebuild_tensor_v2") + b")R.", "not what belongs to it",
    ),
    "an array with too few bytes": (
        b"\x80\x03" + name("numpy.core.multiarray", "_reconstruct") + b")R(K\x01K\x02\x85"
        + name("numpy", "dtype") + text("f4") + b"\x85R\x89C\x07" + bytes(7) + b"tb.",
        "7 bytes of data",
    ),
    "an array described by numbers": (
        b"\x80\x02" + name("numpy.core.multiarray", "_reconstruct") + b")R"
        b"(K\x01K\x02K\x03K\x04K\x05tb.", "not described as numpy",
    ),
    "a number with too few bytes": (
        b"\x80\x03" + name("numpy.core.multiarray", "scalar") + name("numpy", "dtype")
        + text("f8") + b"\x85RC\x01\x00\x86R.", "1 bytes, not 8",
    ),
    "an encoding that is no data": (
        b"\x80\x02" + name("_codecs", "encode") + text("x") + text("zlib") + b"\x86R.",
        "arguments of _codecs.encode",
    ),
    "an archive whose end stands at its start": (
        bytes.fromhex("504b03040000504b0506000000000007504b0607000740cf01000000eb00"),
        "zip archive",
    ),
    "a text file": (b"hello, this is no checkpoint", "neither a pickle"),
    "an image": (b"\x89PNG\r\n\x1a\n" + bytes(100), "neither a pickle"),
    "an HTML page": (b"<!DOCTYPE html><title>Quota exceeded</title>", "neither a pickle"),
}  # fmt: skip


def nested(opener: bytes, closer: bytes, depth: int = 200_000) -> bytes:
    return b"\x80\x04" + opener * depth + closer * depth + b"."


def crowded_zip() -> bytes:
    """An archive whose list of entries is longer than all that stands in it."""
    entry = struct.pack("<4s4B4HL2L5H2L", b"PK\x01\x02", *[0] * 16, *[0] * 2)[:46]
    entries = entry * 200_000
    end = struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, 0xFFFF, 0xFFFF, len(entries), 4, 0)
    return b"PK\x03\x04" + entries + end


def crowded_zip64() -> bytes:
    """The same, its size where zip has it for archives of more than 4 GB."""
    entries = crowded_zip()[4:-22]
    start = 4 + len(entries)
    record = struct.pack("<4sQ2H2L4Q", b"PK\x06\x06", 44, 45, 45, 0, 0, 1, 1, len(entries), 4)
    locator = struct.pack("<4sLQL", b"PK\x06\x07", 0, start, 1)
    end = struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, 1, 1, 46, 4, 0)
    return b"PK\x03\x04" + entries + record + locator + end


def inflating_zip() -> bytes:
    """A torch file whose pickle is 100 MB of zeros, deflated."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/data.pkl", bytes(100_000_000))
    return stream.getvalue()


def many_views(count: int = 1000) -> bytes:
    """A file of one storage that a thousand tensors take whole."""
    shared = torch.zeros(1_000_000)
    return saved({str(i): shared[:] for i in range(count)}, zipped=True)


def unique_names(count: int = 100_000) -> bytes:
    return b"\x80\x02" + b"".join(name("module", str(i)) for i in range(count)) + b"."


def repeated(first: bytes, call: bytes, times: int = 60_000) -> bytes:
    """A stream that does one thing often with what it keeps in its memo."""
    return b"\x80\x04" + first + call * times + b"."


def numbers(n: int) -> bytes:
    return b"]\x94(" + b"".join(b"J" + struct.pack("<i", i) for i in range(n)) + b"e"


def colliding_keys(n: int = 50_000) -> bytes:
    """Pairs of numbers that all have one hash as tuples (xxHash, turned around)."""
    size, p1, p2, p5 = 2**64, 11400714785074694791, 14029467366897019727, 2870177450012600261
    inverse = pow(p2, -1, size)
    keys: list[tuple[int, int]] = []
    first = 0
    while len(keys) < n:
        first += 1
        mixed = (p5 + first * p2) % size
        mixed = (mixed << 31 | mixed >> 33) % size * p1 % size
        second = (12345 - mixed) * inverse % size
        second -= size * (second > size // 2)
        if abs(second) < 2**61 - 1:
            keys.append((first, second))
    items = b"".join(
        b"J" + struct.pack("<i", a) + b"\x8a\x08" + struct.pack("<q", b) + b"\x86N" for a, b in keys
    )
    return b"\x80\x04}(" + items + b"u."


def module(tensors: dict[str, Any], children: dict[str, Any], **attributes: Any) -> dict[str, Any]:
    return {"_parameters": tensors, "_buffers": {}, "_modules": children, **attributes}


def generator(**attributes: Any) -> dict[str, Any]:
    """As much of a StyleGAN2 generator as it takes to be seen as one."""
    layers = {"conv1": module({"weight": torch.ones(2)}, {}, **attributes)}
    block = module({"const": torch.ones(2)}, layers)
    return module({}, {"synthesis": module({}, {"b4": block})})


def shared(value: Any, width: int = 200, depth: int = 3) -> Any:
    """Lists of one list: small in a file, without end when they are written out."""
    for _ in range(depth):
        value = [value] * width
    return value


def hundred(network: Any) -> bytes:
    return pickle.dumps({f"G{i}": network for i in range(100)})


def many_tensors(n: int, **others: Any) -> dict[str, Any]:
    return {**{f"a{i}": torch.ones(1) if i == 0 else 1.0 for i in range(n)}, **others}


NDARRAY = name("numpy", "dtype") + text("u1") + b"\x85R\x94("
FROM_BUFFER = name("numpy._core.numeric", "_frombuffer") + b"\x94"
ENCODE = text("latin1") + b"\x86\x94" + name("_codecs", "encode") + b"\x94"

# What would take memory far beyond the file's size. All tensors are loaded.
BOMBS: dict[str, Callable[[], bytes]] = {
    "a memo index of 2^28": lambda: b"\x80\x02Nr\x00\x00\x00\x10.",
    "memo entries": lambda: b"\x80\x04N" + b"\x94" * 3_000_000 + b".",
    "sparse memo entries": lambda: b"\x80\x04N" + b"".join(
        b"r" + struct.pack("<I", i * 4093) for i in range(1_000_000)
    ) + b".",
    "empty sets": lambda: b"\x80\x04" + b"\x8f" * 3_000_000 + b".",
    "empty dictionaries": lambda: b"\x80\x04" + b"}" * 3_000_000 + b".",
    "empty lists": lambda: b"\x80\x04" + b"]" * 3_000_000 + b".",
    "small dictionaries": lambda: b"\x80\x04" + b"}NNs" * 1_000_000 + b".",
    "marks": lambda: b"\x80\x04" + b"(" * 3_000_000 + b".",
    "nothing, often": lambda: b"\x80\x04" + b"N" * 3_000_000 + b".",
    "records": lambda: b"\x80\x04" + name("a", "b") + b"\x94" + b"h\x00)R" * 1_000_000 + b".",
    "records with entries": lambda: b"\x80\x04" + name("a", "b") + b"\x94"
    + b"h\x00)RNNs" * 1_000_000 + b".",
    "copies of the top": lambda: b"\x80\x04]" + b"2" * 3_000_000 + b".",
    "large tuples of copies": lambda: b"\x80\x04" + (b"(" + b"N" * 1000 + b"t") * 10_000 + b".",
    "wide characters": lambda: b"\x80\x04" + text("x" * 60_000 + "\U0001f600") * 1000 + b".",
    "names": unique_names,
    "large numbers": lambda: b"\x80\x04" + (b"\x8b\x00\x04\x00\x00" + b"\x7f" * 1024) * 100_000 + b".",
    "numbers": lambda: b"\x80\x04" + (b"G" + b"\x3f" * 8) * 3_000_000 + b".",
    "nested lists": lambda: nested(b"]", b"a"),
    "nested tuples": lambda: b"\x80\x04)" + b"\x85" * 200_000 + b".",
    "nested dictionaries": lambda: nested(b"}N", b"s"),
    "nested records": lambda: b"\x80\x04" + nested(name("a", "b"), b"\x85R")[2:].replace(
        b".", b")\x85.", 1
    ),
    "calls of calls": lambda: b"\x80\x04" + name("a", "b") + b")R" * 200_000 + b".",
    "a list in itself": lambda: b"\x80\x04]\x94h\x00a.",
    "a zip archive of entries": crowded_zip,
    "a zip archive of entries, in its second place": crowded_zip64,
    "a zip archive that inflates": inflating_zip,
    "a storage that many tensors share": many_views,
    "objects of one long tuple": lambda: repeated(
        b"(" + b"N" * 300_000 + b"t\x94}\x94" + name("a", "b") + b"\x94", b"h\x02h\x00h\x01\x92"
    ),
    "dictionaries of one list": lambda: repeated(
        b"]\x94(" + b"".join(b"J" + struct.pack("<i", i) + b"N\x86" for i in range(100_000))
        + b"e\x85\x94" + name("collections", "OrderedDict") + b"\x94", b"h\x02h\x01R"
    ),
    "sets of one list": lambda: repeated(
        numbers(300_000) + b"\x85\x94" + name("builtins", "set") + b"\x94", b"h\x02h\x01R"
    ),
    "sizes of one list": lambda: repeated(
        numbers(300_000) + b"\x85\x94" + name("torch", "Size") + b"\x94", b"h\x02h\x01R"
    ),
    "bytes of one text": lambda: repeated(text("x" * 60_000) + ENCODE, b"h\x01h\x00R"),
    "bytes of one long text": lambda: repeated(text("x" * 5_000_000) + ENCODE, b"h\x01h\x00R"),
    "arrays of one text": lambda: repeated(
        NDARRAY + text("x" * 60_000) + b"h\x00J" + struct.pack("<i", 60_000) + b"\x85" + text("C")
        + b"t\x94" + FROM_BUFFER, b"h\x02h\x01R"
    ),
    "classes with long names": lambda: repeated(
        text("\U0001f600" * 4096) + b"\x94" + text("\U0001f600" * 4096) + b"\x94", b"h\x00h\x01\x93"
    ),
    "classes with names": lambda: b"\x80\x04" + b"ca\nb\n" * 1_000_000 + b".",
    "empty bytes": lambda: b"\x80\x04" + b"C\x00" * 1_000_000 + b".",
    "calls of what calls gave": lambda: repeated(name("a", "\U0001f600" * 256) + b")R", b"2)R"),
    "one long key": lambda: repeated(b"(" + b"N" * 300_000 + b"t\x940}", b"h\x00Ns"),
    "keys with one hash": colliding_keys,
    "options of shared lists": lambda: pickle.dumps(
        {"G": generator(), "training_set_kwargs": {i: shared("x" * 300, depth=2) for i in range(200)}}
    ),
    "an activation of shared lists": lambda: pickle.dumps({"G": generator(activation=shared("x" * 300))}),
    "a clamp of shared lists": lambda: pickle.dumps({"G": generator(conv_clamp=shared(0.0, 2, 60))}),
    "networks that are one": lambda: hundred(many_tensors(19_000)),
    "networks with one part": lambda: hundred(
        module({}, {"\U0001f600" * 120: module(many_tensors(18_000), {})})
    ),
    "parts that are one": lambda: hundred(
        module({}, {f"m{i}": part for part in [module({}, {})] for i in range(19_000)})
    ),
    "prefixes": lambda: hundred({"module." * 8500 + str(i): torch.ones(1) for i in range(10)}),
}  # fmt: skip
