"""HTML that is escaped by construction: text is text unless an `element` made it."""

import html
from collections.abc import Iterable

_VOID = ("img", "input", "meta", "link", "br")


class Markup(str):
    """HTML as it is to stand on the page."""


def element(
    name: str, *content: "str | Markup", **attributes: str | int | float | bool | None
) -> Markup:
    """``<name attributes>content</name>``. Strings are escaped, `Markup` is not.

    attributes: ``data_value`` becomes ``data-value``, a last ``_`` goes (``class_``); True is an
        attribute without a value, False and None leave it out.
    """
    written = ""
    for key, value in attributes.items():
        if value is None or value is False:
            continue
        key = key.removesuffix("_").replace("_", "-")
        written += f" {key}" if value is True else f' {key}="{html.escape(str(value))}"'
    if name in _VOID:
        return Markup(f"<{name}{written}>")
    return Markup(f"<{name}{written}>{joined(content)}</{name}>")


def joined(parts: Iterable["str | Markup"]) -> Markup:
    """Parts after each other, those that are plain text escaped."""
    return Markup("".join(p if isinstance(p, Markup) else html.escape(p) for p in parts))
