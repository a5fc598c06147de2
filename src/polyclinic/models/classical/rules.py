"""Decision trees as text."""

from collections.abc import Sequence

from polyclinic.models.classical.fitted import Constant, Estimator, Forest


def tree_rules(estimator: Estimator, columns: Sequence[str]) -> str:
    """Format the tree as indented conditions; each leaf has its prediction and number of training samples.

    Unknown values take the branch marked "or unknown".
    """
    if isinstance(estimator, Constant):
        return f"always: class {estimator.classes[0]}"
    assert isinstance(estimator, Forest)
    lines: list[str] = []
    _write(estimator, columns, int(estimator.trees.roots[0]), "", lines)
    return "\n".join(lines)


def _write(estimator: Forest, columns: Sequence[str], node: int, indent: str, lines: list[str]) -> None:
    tree = estimator.trees
    if tree.is_leaf[node]:
        lines.append(f"{indent}→ {_prediction(estimator, node)} ({tree.samples[node]} samples)")
        return
    right, left = tree.children[node].tolist()
    name, threshold = columns[tree.column[node]], tree.threshold[node]
    unknown_left = bool(tree.unknown_left[node])
    for child, sign, unknown in ((left, "≤", unknown_left), (right, ">", not unknown_left)):
        lines.append(f"{indent}{name} {sign} {threshold:.4g}{' or unknown' if unknown else ''}")
        _write(estimator, columns, child, indent + "  ", lines)


def _prediction(estimator: Forest, node: int) -> str:
    value, classes = estimator.trees.value[node], estimator.classes
    if classes is None:
        return f"{value[0]:.4g}"
    probabilities = value / value.sum()
    if classes.tolist() == [0, 1]:
        return f"{100 * probabilities[1]:.0f} %"
    return ", ".join(
        f"class {name}: {100 * probability:.0f} %" for name, probability in zip(classes, probabilities, strict=True)
    )
