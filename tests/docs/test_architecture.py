"""The picture of the packages."""

from tools import draw_layers


def test_picture_is_up_to_date():
    drawn = draw_layers.SVG.read_text(encoding="utf-8")
    assert drawn == draw_layers.drawing(), "run: python -m tools.draw_layers"


def test_every_package_is_drawn():
    graph = draw_layers.grimp.build_graph(draw_layers.PACKAGE, cache_dir=None)
    drawn = {name for layer in draw_layers.layers(graph) for name in layer}
    packages = {child.split(".")[1] for child in graph.find_children("polyclinic") if graph.find_children(child)}
    assert drawn >= packages
    assert drawn == set(draw_layers.ROLES)
