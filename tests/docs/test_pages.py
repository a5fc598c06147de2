"""The extraction itself: a block that is overlooked would never be run."""

import pytest

from tests.docs.pages import Block, blocks, plain_commands

PAGE = """\
# Title

```yaml title="a b.yaml"
key: 1
```

- in a list:

  ```sh
  echo "$HOME"
  ```

<!-- not run: needs
the moon -->
```python
fly()
```

<!-- a remark -->
```python
walk()
```

<!-- as printed -->
```text
done
```

    indented text
"""


def test_blocks_come_with_their_lines_titles_and_exemptions(tmp_path):
    page = tmp_path / "page.md"
    page.write_text(PAGE)
    assert blocks(page) == [
        Block(page, 4, "yaml", "key: 1\n", title="a b.yaml"),
        Block(page, 10, "sh", 'echo "$HOME"\n'),
        Block(page, 16, "python", "fly()\n", not_run="needs\nthe moon"),
        Block(page, 21, "python", "walk()\n"),
        Block(page, 26, "text", "done\n", printed=True),
    ]


def test_commands_of_a_script_are_split_into_words():
    script = "polyclinic tasks  # all of them\n\n# a remark\npolyclinic ingest 'a b.csv' \\\n  --strict\n"
    assert plain_commands(script, "polyclinic") == [
        ["polyclinic", "tasks"],
        ["polyclinic", "ingest", "a b.csv", "--strict"],
    ]


@pytest.mark.parametrize(
    "line", ["ls", "polyclinic tasks > x", "polyclinic tasks | head", "A=1 polyclinic tasks", "a && b"]
)
def test_a_script_that_needs_a_shell_is_not_split(line):
    assert plain_commands(f"polyclinic tasks\n{line}\n", "polyclinic") is None
