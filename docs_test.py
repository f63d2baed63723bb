"""The pages: their links, and the flags that they name. docs_run_test.py runs them."""

import dataclasses
import pathlib
import re
import typing

import pytest

from slimbase.command_line import usage
from tools import markdown
from tools.update_readme import COMMANDS

TEXTS = {page: markdown.read(page) for page in markdown.PAGES}
STEMS = [pathlib.Path(command).stem for command in COMMANDS]
# Options of programs that are not ours.
OTHERS = {
    *("input_graph", "input_binary", "input_checkpoint", "output_graph"),
    *("output_node_names", "logdir", "upgrade", "gpus", "port", "model_base_path"),
}
LANGUAGES = {"bash", "python", "json", "mermaid", "text"}
COMMAND = re.compile(rf"^(cd|pip|python|{'|'.join(STEMS)})\b(?!:)", re.MULTILINE)
SCRIPTS = sorted(markdown.ROOT.glob("scripts/*sh"))


def known_flags():
    found = {"help", "config"}
    for config in COMMANDS.values():
        types = typing.get_type_hints(config)
        for field in dataclasses.fields(config):
            name = usage.flag_name(field)
            found.add(name)
            if usage.kind(types[field.name]) is bool:
                found.add(f"no{name}")
    return found


def named_flags(text):
    return set(re.findall(r"(?<![\w-])--(?:\[no\])?([a-z]\w+)(?![\w-])", text))


@pytest.mark.parametrize("page", TEXTS)
def test_links_lead_somewhere(page):
    directory = (markdown.ROOT / page).parent
    for link in markdown.links(TEXTS[page]):
        if re.match(r"https?://", link):
            continue
        path, _, anchor = link.partition("#")
        target = (directory / path).resolve() if path else markdown.ROOT / page
        assert target.exists(), f"{page}: there is no {path}"
        if anchor:
            text = target.read_text("utf-8")
            assert anchor in markdown.anchors(text), f"{page}: no heading for {link}"


@pytest.mark.parametrize("page", TEXTS)
def test_flags_that_are_named_exist(page):
    unknown = named_flags(TEXTS[page]) - known_flags() - OTHERS
    assert not unknown, f"{page} names flags that no command has"


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.name)
def test_flags_in_scripts_exist(path):
    assert not named_flags(path.read_text("utf-8")) - known_flags() - OTHERS


def test_every_flag_is_documented():
    listed = named_flags(TEXTS["docs/flags.md"])
    for command, config in COMMANDS.items():
        for fields in usage.groups(config).values():
            for field in fields:
                flag = usage.flag_name(field)
                assert flag in listed, f"{command} --{flag}"


def test_every_page_can_be_reached():
    reached, todo = set(), ["README.md"]
    while todo:
        page = todo.pop()
        reached.add(page)
        directory = (markdown.ROOT / page).parent
        for link in markdown.links(TEXTS[page]):
            path = (directory / link.partition("#")[0]).resolve()
            if not path.is_relative_to(markdown.ROOT):
                continue
            name = path.relative_to(markdown.ROOT).as_posix()
            if name in TEXTS and name not in reached:
                todo.append(name)
    assert reached == set(TEXTS)


@pytest.mark.parametrize("page", TEXTS)
def test_blocks_say_what_they_are(page):
    for block in markdown.blocks(TEXTS[page], page):
        place = f"{page}:{block.line}"
        assert block.language in LANGUAGES, f"{place}: which language?"
        if block.language == "text":
            assert not COMMAND.search(block.text), f"{place}: a command is bash"
        if block.language == "bash" and block.excuse is None:
            assert "..." not in block.text, f"{place}: this cannot run as it stands"
            assert not re.search(r"^\$ ", block.text, re.M), f"{place}: a prompt"


# What reads pages


PAGE = """# A page, of *two*
<!-- run first: README.md -->
See [it](docs/a.md#b-c) and `[not](a link)`.

```bash
echo 1
```

<!-- not run: needs a robot -->
```bash
robot [x](y)
```
- a list
  ```python
  # nets/x.py
  if True:
      pass
  ```
## A page, of two
"""


def test_blocks():
    one, two, three = markdown.blocks(PAGE, "p.md")
    assert (one.language, one.text, one.excuse) == ("bash", "echo 1\n", None)
    assert one.line == 6
    assert two.excuse == "needs a robot"
    assert three.text == "# nets/x.py\nif True:\n    pass\n"
    assert three.file == "nets/x.py" and one.file is None
    with pytest.raises(ValueError, match=r"p\.md:2: this block has no end"):
        markdown.blocks("a\n```bash\necho", "p.md")


def test_links_and_anchors():
    assert markdown.links(PAGE) == ["docs/a.md#b-c"]
    assert markdown.anchors(PAGE) == {"a-page-of-two", "a-page-of-two-1"}
    assert markdown.runs_first(PAGE) == "README.md"
    assert markdown.runs_first("# x\n") is None
