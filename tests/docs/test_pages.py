"""The extraction itself: a block that is overlooked would never be run."""

from tests.docs.pages import Block, blocks

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
