"""An inert reader of pickle streams: a stack machine that can neither import nor call.

A pickle is a program for such a machine (``pickletools`` in Python's library describes the
opcodes). Python's own machine imports what the program names and calls it; this one keeps the name.
Everything is bounded: positions by the length of the data, memory by a budget.
"""

from __future__ import annotations

import codecs
import re
import struct
from collections.abc import Callable
from typing import Any

from latentmap.encoders.checkpoints.budget import Budget
from latentmap.encoders.checkpoints.keys import checked_key, checked_keys
from latentmap.encoders.checkpoints.values import Global, LongText, Record
from latentmap.errors import CheckpointError

# (name, arguments) -> what they stand for: data where the name is known, else an inert record.
Meaning = Callable[[str, tuple[Any, ...]], Any]
# (object, state) -> whether the state was understood; records and dictionaries never get here.
Completion = Callable[[Any, Any], bool]
# What a persistent id of the stream stands for.
Persistent = Callable[[Any], Any]

# What one opcode may cost: an object, its place on the stack and its place in a container.
_OPCODE = 64
_SET = 240
_RECORD = 200
_MEMO = 120
_VIEW = 200
_CHARACTER = 4

_LINE = 4096
_NAME = 500
# What Python 2 writes for a string; other escapes would be guesses.
_QUOTED = re.compile(rb"""(['"])(?:[^\\]|\\[\\'"nrt]|\\x[0-9a-f]{2})*\1""")
_INTEGER = 1024
_LONG_TEXT = 64 * 1024
_SHORT_STRING = 256


def _refuse_persistent(value: Any) -> Any:
    raise CheckpointError("it refers to data outside the stream")


class PickleMachine:
    """Reads one pickle after the other from ``data``; ``position`` is where the next one starts.

    ``names`` collects every class and function that the streams refer to.
    """

    def __init__(
        self,
        data: memoryview,
        *,
        budget: Budget,
        meaning: Meaning,
        completion: Completion,
        persistent: Persistent = _refuse_persistent,
    ) -> None:
        self._data = data
        self._budget = budget
        self._meaning = meaning
        self._completion = completion
        self._persistent = persistent
        self.position = 0
        self.protocol = 0
        self.names: dict[str, Global] = {}
        self._stack: list[Any] = []
        self._outer: list[list[Any]] = []
        self._memo: dict[int, Any] = {}

    def read(self) -> Any:
        """The value of the next pickle, inert.

        Raises:
            CheckpointError: the stream is broken, too large for a checkpoint, or uses opcodes that
                no checkpoint needs.
        """
        self._stack, self._outer, self._memo = [], [], {}
        at = self.position
        try:
            while True:
                at = self.position
                code = self._data[at]
                self.position = at + 1
                if code == _STOP:
                    return self._stack.pop()
                self._budget.spend(_OPCODE)
                _OPCODES[code](self)
        except CheckpointError as error:
            raise CheckpointError(f"{error} (byte {at})") from None
        except (IndexError, struct.error):
            ended = at >= len(self._data) or self.position >= len(self._data)
            reason = "it ends in the middle" if ended else "its opcodes do not fit together"
            raise CheckpointError(f"the pickle stream is broken: {reason} (byte {at})") from None
        except (KeyError, TypeError, ValueError) as error:
            reason = " ".join(str(error).split())[:200] or type(error).__name__
            raise CheckpointError(f"the pickle stream is broken: {reason} (byte {at})") from None

    # What opcodes are made of.

    def _take(self, size: int) -> memoryview:
        end = self.position + size
        if size < 0 or end > len(self._data):
            raise CheckpointError("the pickle stream is broken: it ends in the middle")
        piece = self._data[self.position : end]
        self.position = end
        return piece

    def _number(self, layout: struct.Struct) -> Any:
        return layout.unpack(self._take(layout.size))[0]

    def _line(self) -> bytes:
        window = bytes(self._data[self.position : self.position + _LINE])
        length = window.find(b"\n")
        if length < 0:
            raise CheckpointError("the pickle stream is broken: a line does not end")
        self.position += length + 1
        return window[:length]

    def _push(self, value: Any) -> None:
        self._stack.append(value)

    def _pop_mark(self) -> list[Any]:
        items = self._stack
        self._stack = self._outer.pop()
        return items

    def _push_text(self, raw: memoryview, encoding: str = "utf-8") -> None:
        self._budget.spend(_CHARACTER * len(raw))
        self._push(str(raw, encoding))

    def _push_name(self, module: str, attribute: str) -> None:
        name = f"{module}.{attribute}"
        if len(name) > _NAME:
            raise CheckpointError(f"it names a class by {len(name)} characters")
        self._budget.spend(_CHARACTER * len(name))
        known = self.names.get(name)
        if known is None:
            self._budget.spend(_MEMO)
            known = self.names[name] = Global(name)
        self._push(known)

    def _apply(self, function: Any, args: Any) -> None:
        if type(args) is not tuple:
            raise CheckpointError("it calls something with arguments that are no tuple")
        self._budget.spend(_RECORD)
        if type(function) is Global:
            self._push(self._meaning(function.name, args))
        elif type(function) is Record:
            # What a call gave, called again; the name is the same however often.
            name = function.name if function.name.endswith("()") else f"{function.name}()"
            self._budget.spend(_CHARACTER * len(name))
            self._push(Record(name, args))
        else:
            raise CheckpointError(f"it calls a value ({type(function).__name__})")

    def _put_entries(self, target: Any, items: list[Any]) -> None:
        if len(items) % 2:
            raise CheckpointError("it puts a key without a value into a dictionary")
        if type(target) is Record:
            if target.entries is None:
                self._budget.spend(_SET)
                target.entries = {}
            entries = target.entries
        elif type(target) is dict:
            entries = target
        else:
            raise CheckpointError(f"it puts entries into a value ({type(target).__name__})")
        for key, value in zip(items[::2], items[1::2], strict=True):
            entries[checked_key(key, self._budget)] = value

    def _put_members(self, target: Any, items: list[Any]) -> None:
        if type(target) is Record:
            target.members = [] if target.members is None else target.members
            target.members.extend(items)
        elif type(target) is list:
            target.extend(items)
        elif type(target) is set:
            target.update(checked_keys(items, self._budget))
        else:
            raise CheckpointError(f"it puts members into a value ({type(target).__name__})")

    # The opcodes, in groups.

    def _proto(self) -> None:
        self.protocol = self._take(1)[0]
        if self.protocol > 5:
            raise CheckpointError(f"pickle protocol {self.protocol} is unknown: 0 to 5 are read")

    def _frame(self) -> None:
        if self._number(_U8) > len(self._data) - self.position:
            raise CheckpointError("the pickle stream is broken: it ends in the middle")

    def _mark(self) -> None:
        self._outer.append(self._stack)
        self._stack = []

    def _pop(self) -> None:
        if self._stack:
            self._stack.pop()
        else:
            self._pop_mark()

    def _drop_mark(self) -> None:
        self._pop_mark()

    def _int_line(self) -> None:
        text = self._line()
        named = {b"00": False, b"01": True}
        self._push(named[text] if text in named else self._decimal(text))

    def _long_line(self) -> None:
        self._push(self._decimal(self._line().removesuffix(b"L")))

    def _decimal(self, text: bytes) -> int:
        if len(text) > _INTEGER:
            raise CheckpointError(f"it holds a number of {len(text)} digits")
        return int(text)

    def _long(self, size: int) -> None:
        if size > _INTEGER:
            raise CheckpointError(f"it holds a number of {size} bytes")
        self._budget.spend(max(0, size))
        self._push(int.from_bytes(self._take(size), "little", signed=True))

    def _string_line(self) -> None:
        raw = self._line()
        if not _QUOTED.fullmatch(raw):
            raise CheckpointError("the pickle stream is broken: a string is not quoted")
        self._push_text(memoryview(codecs.escape_decode(raw[1:-1])[0]), "latin-1")

    def _string(self, size: int) -> None:
        raw = self._take(size)
        # Python 2 has one type for texts and bytes: what is long is the contents of an array.
        if size < _SHORT_STRING:
            self._push_text(raw, "latin-1")
        else:
            self._push(raw)

    def _unicode_line(self) -> None:
        self._push_text(memoryview(self._line()), "raw-unicode-escape")
        # Half of a surrogate pair could not be shown or digested: that is an error, as in UTF-8.
        self._stack[-1].encode()

    def _unicode(self, size: int) -> None:
        raw = self._take(size)
        if size > _LONG_TEXT:
            self._push(LongText(raw))
        else:
            self._push_text(raw)

    def _append(self) -> None:
        value = self._stack.pop()
        self._put_members(self._stack[-1], [value])

    def _appends(self) -> None:
        items = self._pop_mark()
        self._put_members(self._stack[-1], items)

    def _tuple(self, size: int) -> None:
        if size > len(self._stack):
            raise IndexError
        items = tuple(self._stack[len(self._stack) - size :])
        del self._stack[len(self._stack) - size :]
        self._push(items)

    def _dict(self) -> None:
        items = self._pop_mark()
        made: dict[Any, Any] = {}
        self._put_entries(made, items)
        self._push(made)

    def _empty_dict(self) -> None:
        self._push({})

    def _setitem(self) -> None:
        value = self._stack.pop()
        key = self._stack.pop()
        self._put_entries(self._stack[-1], [key, value])

    def _setitems(self) -> None:
        items = self._pop_mark()
        self._put_entries(self._stack[-1], items)

    def _empty_set(self) -> None:
        self._budget.spend(_SET)
        self._push(set())

    def _frozenset(self) -> None:
        items = self._pop_mark()
        self._budget.spend(_SET)
        self._push(frozenset(checked_keys(items, self._budget)))

    def _get(self, index: int) -> None:
        if index not in self._memo:
            raise CheckpointError(f"the pickle stream is broken: nothing is kept as number {index}")
        self._push(self._memo[index])

    def _put(self, index: int) -> None:
        if index < 0:
            raise CheckpointError("the pickle stream is broken: a negative place in the memo")
        self._budget.spend(_MEMO)
        self._memo[index] = self._stack[-1]

    def _global(self) -> None:
        module = self._line()
        attribute = self._line()
        self._push_name(module.decode("utf-8"), attribute.decode("utf-8"))

    def _stack_global(self) -> None:
        attribute = self._stack.pop()
        module = self._stack.pop()
        if type(module) is not str or type(attribute) is not str:
            raise CheckpointError("it names a class by something that is no text")
        self._push_name(module, attribute)

    def _reduce(self) -> None:
        args = self._stack.pop()
        function = self._stack.pop()
        self._apply(function, args)

    def _newobj_ex(self) -> None:
        keywords = self._stack.pop()
        args = self._stack.pop()
        kind = self._stack.pop()
        if type(kind) is not Global or type(args) is not tuple or type(keywords) is not dict:
            raise CheckpointError("it makes an object of something that is no class")
        self._budget.spend(_RECORD)
        self._push(Record(kind.name, (args, keywords)))

    def _build(self) -> None:
        state = self._stack.pop()
        target = self._stack[-1]
        if type(target) is Record:
            target.state = state
        # The attributes of a dictionary, such as the versions in a state dict, are left out.
        elif type(target) is not dict and not self._completion(target, state):
            raise CheckpointError(f"it sets attributes of a {type(target).__name__.lower()}")

    def _persid(self) -> None:
        self._push(self._persistent(str(self._line(), "ascii")))

    def _binpersid(self) -> None:
        self._push(self._persistent(self._stack.pop()))

    def _refuse(self) -> None:
        raise CheckpointError(
            f"it uses opcode {self._data[self.position - 1]:#04x}, which no checkpoint needs"
        )


_U1, _U2, _U4, _U8 = (struct.Struct(f"<{code}") for code in "BHIQ")
_I4, _FLOAT = struct.Struct("<i"), struct.Struct(">d")
_STOP = ord(".")
_Opcode = Callable[[PickleMachine], None]


def _constant(value: Any) -> _Opcode:
    return lambda machine: machine._push(value)


def _sized(method: Callable[[PickleMachine, int], None], layout: struct.Struct) -> _Opcode:
    return lambda machine: method(machine, machine._number(layout))


def _value(layout: struct.Struct) -> _Opcode:
    return lambda machine: machine._push(machine._number(layout))


def _memo_line(method: Callable[[PickleMachine, int], None]) -> _Opcode:
    return lambda machine: method(machine, machine._decimal(machine._line()))


def _push_bytes(machine: PickleMachine, size: int) -> None:
    machine._budget.spend(_VIEW)
    machine._push(machine._take(size))


_M = PickleMachine
_NAMED: dict[bytes, _Opcode] = {
    b"\x80": _M._proto,
    b"\x95": _M._frame,
    b"(": _M._mark,
    b"0": _M._pop,
    b"1": _M._drop_mark,
    b"2": lambda machine: machine._push(machine._stack[-1]),
    b"N": _constant(None),
    b"\x88": _constant(True),
    b"\x89": _constant(False),
    b"I": _M._int_line,
    b"J": _value(_I4),
    b"K": _value(_U1),
    b"M": _value(_U2),
    b"L": _M._long_line,
    b"\x8a": _sized(_M._long, _U1),
    b"\x8b": _sized(_M._long, _I4),
    b"F": lambda machine: machine._push(float(machine._line())),
    b"G": _value(_FLOAT),
    b"S": _M._string_line,
    b"T": _sized(_M._string, _I4),
    b"U": _sized(_M._string, _U1),
    b"V": _M._unicode_line,
    b"X": _sized(_M._unicode, _U4),
    b"\x8c": _sized(_M._unicode, _U1),
    b"\x8d": _sized(_M._unicode, _U8),
    b"B": _sized(_push_bytes, _U4),
    b"C": _sized(_push_bytes, _U1),
    b"\x8e": _sized(_push_bytes, _U8),
    b"\x96": _sized(_push_bytes, _U8),
    b"]": lambda machine: machine._push([]),
    b"a": _M._append,
    b"e": _M._appends,
    b"l": lambda machine: machine._push(machine._pop_mark()),
    b")": _constant(()),
    b"t": lambda machine: machine._push(tuple(machine._pop_mark())),
    b"\x85": lambda machine: machine._tuple(1),
    b"\x86": lambda machine: machine._tuple(2),
    b"\x87": lambda machine: machine._tuple(3),
    b"}": _M._empty_dict,
    b"d": _M._dict,
    b"s": _M._setitem,
    b"u": _M._setitems,
    b"\x8f": _M._empty_set,
    b"\x90": _M._appends,
    b"\x91": _M._frozenset,
    b"g": _memo_line(_M._get),
    b"h": _sized(_M._get, _U1),
    b"j": _sized(_M._get, _U4),
    b"p": _memo_line(_M._put),
    b"q": _sized(_M._put, _U1),
    b"r": _sized(_M._put, _U4),
    b"\x94": lambda machine: machine._put(len(machine._memo)),
    b"c": _M._global,
    b"\x93": _M._stack_global,
    b"R": _M._reduce,
    b"\x81": _M._reduce,
    b"\x92": _M._newobj_ex,
    b"b": _M._build,
    b"P": _M._persid,
    b"Q": _M._binpersid,
}
# Extension codes, objects of protocol 0, buffers outside the stream, and what is no opcode.
_OPCODES = [_NAMED.get(bytes([code]), PickleMachine._refuse) for code in range(256)]
