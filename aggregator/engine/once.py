"""What is made of inputs that stay the same for many refreshes is made once."""

import weakref
from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


def once(make: Callable[P, T]) -> Callable[P, T]:
    """Let a function remember what it made of the same objects, as long as they live: they must never change.

    Objects are the same if they are one, not if they are equal. What is made of them must not hold them.
    """
    made: dict[tuple[int, ...], T] = {}

    @wraps(make)
    def remembered(*args: P.args, **kwargs: P.kwargs) -> T:
        objects = (*args, *kwargs.values())
        key = tuple(map(id, objects))
        if key not in made:
            result = make(*args, **kwargs)
            for each in objects:
                if each is not None:
                    weakref.finalize(each, made.pop, key, None)
            made[key] = result
        return made[key]

    return remembered
