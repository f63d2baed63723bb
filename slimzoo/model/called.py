"""Classes as people call them: by name or by number."""

from collections.abc import Sequence

from absl import logging


class ClassFinder:
    """Finds the classes that a name or a number stands for; names come first.

    Where classes are called `1` to `5`, `1` is the first of them, not class number 1.
    The first such case is logged.
    """

    def __init__(self, names: Sequence[str], source: str):
        """Finds classes among `names`.

        Args:
          names: of the classes, by number.
          source: where the calls stand, such as a file, for the log.
        """
        self._names = names
        self._source = source
        self._numbers: dict[str, tuple[int, ...]] = {}
        for number, name in enumerate(names):
            self._numbers[name] = (*self._numbers.get(name, ()), number)
        self._is_logged = False

    def __call__(self, called: str) -> tuple[int, ...]:
        """The numbers of the classes of that name, or else the class of that number.

        Returns:
          Class numbers: one, or more where several classes have this name, or none
          where neither a name nor a number of a class is meant.
        """
        is_number = called.isascii() and called.isdecimal()
        number = int(called) if is_number and len(called) < 10 else -1
        by_number = (number,) if 0 <= number < len(self._names) else ()
        by_name = self._numbers.get(called, ())
        if by_name and by_number and by_name != by_number and not self._is_logged:
            self._is_logged = True
            logging.info(
                "%s: %s is the class of that name, which has number %d, and not class "
                "number %s, which is called %s: names come before numbers",
                self._source,
                called,
                by_name[0],
                called,
                self._names[number],
            )
        return by_name or by_number
