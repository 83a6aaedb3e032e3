"""Modules and names that a test uses, imported when it first does: collecting the tests waits for no torch."""

from __future__ import annotations

from importlib import import_module
from typing import Any


class _Later:
    """Stands for a module, or for a name of one, and is in nearly every use as good as it."""

    def __init__(self, module: str, name: str = "") -> None:
        self.__dict__.update(_module=module, _name=name)

    def _itself(self) -> Any:
        module = import_module(self._module)
        return getattr(module, self._name) if self._name else module

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or name == "_mock_name":  # pytest looks for them in all that a file holds
            raise AttributeError(name)
        return getattr(self._itself(), name)

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(
            f"name what is to be patched in words: monkeypatch.setattr('{self._module}.{name}', …)"
        )

    def __call__(self, *values: Any, **options: Any) -> Any:
        return self._itself()(*values, **options)

    def __instancecheck__(self, instance: object) -> bool:
        return isinstance(instance, self._itself())


def later(module: str, *names: str) -> Any:
    """The module, or as many of its names as are given (one, or a list of them), each imported on its first use."""
    if len(names) > 1:
        return [_Later(module, name) for name in names]
    return _Later(module, *names)
