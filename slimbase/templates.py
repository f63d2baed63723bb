"""Pages, HTML or plain text, from Jinja templates."""

import pathlib
from typing import Any

import jinja2


def render(template: pathlib.Path, **values: Any) -> str:
    """The page that a template makes of values.

    A tag of the template that stands on a line of its own leaves no empty line.

    Args:
      template: the template's file. If its suffix is `.html`, values are escaped, but
        for those that the template marks as `safe`.
      **values: values by the names that the template has for them.

    Raises:
      jinja2.UndefinedError: for a name that has no value.
    """
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(template.parent),
        autoescape=template.suffix == ".html",
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    return environment.get_template(template.name).render(values)
