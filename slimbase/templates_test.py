import html.parser

import jinja2
import pytest

from slimbase.templates import render

HOSTILE = "<script>alert('1')</script>\"{{ 1 }} &amp;"


@pytest.fixture
def template(tmp_path):
    def write(text):
        path = tmp_path / "page.html"
        path.write_text(text, "utf-8")
        return path

    return write


def _texts(page):
    """Texts and values of attributes, as a browser reads them."""
    found = []
    parser = html.parser.HTMLParser()
    parser.handle_data = found.append
    parser.handle_starttag = lambda _, attributes: found.extend(
        value for _, value in attributes
    )
    parser.feed(page)
    return found


def test_values_are_text(template):
    page = render(template('<p title="{{ name }}">{{ name }}</p>'), name=HOSTILE)
    assert "<script" not in page
    assert _texts(page) == [HOSTILE, HOSTILE]


def test_markup_is_what_the_template_says(template):
    page = render(template("{{ picture | safe }}"), picture="<svg></svg>")
    assert page == "<svg></svg>"


def test_tags_leave_no_empty_lines(template):
    page = render(
        template(
            "<ul>\n  {% for n in numbers %}\n<li>{{ n }}</li>\n{% endfor %}\n</ul>\n"
        ),
        numbers=[1, 2],
    )
    assert page == "<ul>\n<li>1</li>\n<li>2</li>\n</ul>\n"


def test_missing_values_are_noticed(template):
    with pytest.raises(jinja2.UndefinedError, match="name"):
        render(template("{{ name }}"))


def test_names_need_not_be_unicode(template):
    assert render(template("{{ name }}"), name="bad \udcff name") == "bad \udcff name"


def test_values_in_other_pages_are_not_escaped(tmp_path):
    path = tmp_path / "page.md"
    path.write_text("{{ name }}", "utf-8")
    assert render(path, name=HOSTILE) == HOSTILE
