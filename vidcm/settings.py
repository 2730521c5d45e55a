"""From YAML and `key=value` words to nested frozen dataclasses: defaults live there, a file only overrides.

Types are checked here, once, so that the code behind may trust them. PyYAML reads `1e-4` as text: text is taken as a
number wherever a number is expected. Every complaint is a `UserError` that names the key by its dotted path.
"""

import dataclasses
import difflib
import types
import typing
from collections.abc import Callable, Iterable, Mapping
from fractions import Fraction
from pathlib import Path
from typing import Any, TypeVar

import yaml

from vidcm.core.errors import UserError, WrongUse

T = TypeVar("T")


def from_mapping(cls: Callable[..., T], mapping: Mapping[str, Any], where: str = "") -> T:
    """The dataclass `cls` with defaults overridden by `mapping`. `where`: its dotted path, for messages."""
    hints = typing.get_type_hints(cls)
    known = {field.name: hints[field.name] for field in dataclasses.fields(cls) if field.init}  # type: ignore[arg-type]
    for key in mapping:
        if key not in known:
            raise WrongUse(_unknown(_dotted(where, key), str(key), known))
    values = {key: coerce(value, known[key], _dotted(where, key)) for key, value in mapping.items()}
    try:
        return cls(**values)
    except (TypeError, ValueError) as error:
        raise WrongUse(f"{where or 'config'}: {error}") from error


def coerce(value: Any, hint: Any, where: str) -> Any:
    """`value`, as YAML gives it, as an instance of the type `hint`."""
    origin, arms = typing.get_origin(hint), typing.get_args(hint)
    if hint is Any:
        return value
    if origin in (typing.Union, types.UnionType):
        return _union(value, arms, where)
    if origin is typing.Literal:
        return value if value in arms else _refuse(value, "one of " + ", ".join(map(str, arms)), where)
    if dataclasses.is_dataclass(hint):
        return from_mapping(hint, _mapping(value, where), where)  # type: ignore[arg-type]
    if origin in (tuple, list):
        return _sequence(value, origin, arms, where)
    if (origin or hint) in (dict, Mapping):
        key_hint, item_hint = arms or (str, Any)
        items = _mapping(value, where).items()
        return {coerce(key, key_hint, where): coerce(item, item_hint, _dotted(where, key)) for key, item in items}
    return _scalar(value, hint, where)


def read_yaml(path: str | Path) -> dict[str, Any]:
    """The mapping in a YAML file; an empty file is an empty mapping."""
    try:
        content = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise WrongUse(f"cannot read the config {path}: {error.strerror or error}") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise WrongUse(f"{path} is not valid YAML: {' '.join(str(error).split())}") from error
    return _mapping({} if content is None else content, str(path))


def with_overrides(mapping: Mapping[str, Any], words: Iterable[str]) -> dict[str, Any]:
    """`mapping` with dotted `key=value` words (`optimizer.lr=1e-4`) laid over it; a value is read as YAML."""
    result = dict(mapping)
    for word in words:
        key, equals, text = word.partition("=")
        if not equals or not all(key.split(".")):
            raise WrongUse(f"{word!r} is not an override: write key=value, such as optimizer.lr=1e-4")
        try:
            value = yaml.safe_load(text)
        except yaml.YAMLError as error:
            raise WrongUse(f"the value of {key} is not valid YAML: {text!r}") from error
        for part in reversed(key.split(".")):
            value = {part: value}
        result = _merged(result, value)
    return result


def as_mapping(config: Any) -> Any:
    """A dataclass as plain YAML: the inverse of `from_mapping`."""
    if dataclasses.is_dataclass(config) and not isinstance(config, type):
        names = [field.name for field in dataclasses.fields(config) if field.init]
        return {name: as_mapping(getattr(config, name)) for name in names}
    if isinstance(config, Mapping):
        return {key: as_mapping(value) for key, value in config.items()}
    if isinstance(config, tuple | list):
        return [as_mapping(value) for value in config]
    return str(config) if isinstance(config, Path | Fraction) else config


def _merged(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    result = dict(base)
    for key, value in over.items():
        nested = isinstance(value, Mapping) and isinstance(base.get(key), Mapping)
        result[key] = _merged(base[key], value) if nested else value
    return result


def _union(value: Any, arms: tuple[Any, ...], where: str) -> Any:
    if value is None and type(None) in arms:
        return None
    kinds = [arm for arm in arms if arm is not type(None)]
    for kind in kinds[:-1]:
        try:
            return coerce(value, kind, where)
        except UserError:
            continue
    return coerce(value, kinds[-1], where)


def _sequence(value: Any, origin: type, arms: tuple[Any, ...], where: str) -> Any:
    if not isinstance(value, list | tuple):
        _refuse(value, "a list", where)
    if origin is list or (len(arms) == 2 and arms[1] is Ellipsis):
        return origin(coerce(item, arms[0], f"{where}[{i}]") for i, item in enumerate(value))
    if len(value) != len(arms):
        _refuse(value, f"a list of {len(arms)}", where)
    return tuple(coerce(item, arm, f"{where}[{i}]") for i, (item, arm) in enumerate(zip(value, arms, strict=True)))


def _scalar(value: Any, hint: Any, where: str) -> Any:
    if hint is bool:
        return value if isinstance(value, bool) else _refuse(value, "true or false", where)
    if value is None or isinstance(value, bool | list | dict):
        _refuse(value, {int: "a whole number", float: "a number"}.get(hint, "text"), where)
    if hint is str:
        return str(value)
    if hint is int and isinstance(value, int):
        return value
    try:
        number = hint(str(value)) if hint in (Path, Fraction) else float(value)
    except (ValueError, ZeroDivisionError, TypeError, OverflowError):
        number = None
    if number is None or (hint is int and not number.is_integer()):
        _refuse(value, {int: "a whole number", float: "a number", Fraction: "a fraction"}.get(hint, "text"), where)
    return int(number) if hint is int else number


def _mapping(value: Any, where: str) -> dict[str, Any]:
    return dict(value) if isinstance(value, Mapping) else _refuse(value, "a mapping of keys to values", where)


def _refuse(value: Any, wanted: str, where: str) -> typing.NoReturn:
    raise WrongUse(f"{where} must be {wanted}, got {value!r}")


def _unknown(where: str, key: str, known: Mapping[str, Any]) -> str:
    near = _below(key, known) or _nearest(key, known)
    return f"unknown key {where}{f' (did you mean {near}?)' if near else ''}; known here: {', '.join(sorted(known))}"


def _below(key: str, known: Mapping[str, Any]) -> str | None:
    """`optimizer.lr` for `lr`, which is known one group further down."""
    groups = (name for name, hint in known.items() if dataclasses.is_dataclass(hint))
    return next((f"{name}.{key}" for name in groups if key in typing.get_type_hints(known[name])), None)


def _nearest(key: str, known: Iterable[str]) -> str | None:
    """Of names that are as much alike, the one that begins like the key: slips are rarely in the first letter."""
    near = difflib.get_close_matches(key, list(known), n=3)
    return max(near, key=lambda name: (_likeness(key, name), key[0] == name[0]), default=None)


def _likeness(key: str, name: str) -> float:
    return difflib.SequenceMatcher(None, name, key).ratio()


def _dotted(where: str, key: object) -> str:
    return f"{where}.{key}" if where else str(key)
