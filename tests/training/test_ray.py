"""A study fitted on the nodes of a Ray cluster: equal to the bit to a fit in one process, also when a node is lost."""

import shutil
from collections import Counter
from contextlib import contextmanager

import pytest

from polyclinic.cli import main
from polyclinic.compute.ray_cluster import connected
from polyclinic.compute.resources import RAY, Resources
from polyclinic.progress import Silent
from polyclinic.study import Network, Study
from polyclinic.training.fit import fit_study
from tests.hospital import SIMPLE, build_hospital, files_of
from tests.ray_nodes import add_node, two_nodes

ray = pytest.importorskip("ray", reason="Ray is not installed: pip install 'polyclinic[ray]'")
pytestmark = pytest.mark.slow

STUDY = Study(
    tasks=("demo_deterioration",),
    inputs=("structured", "note"),
    network=Network(epochs=25, patience=25, width=16),
    folds=2,
    classical=("logistic_regression", "decision_tree"),
)
"""So many epochs that a node is lost in the middle of one."""


@pytest.fixture(scope="module")
def cohort(tmp_path_factory, cache):
    return build_hospital(tmp_path_factory.mktemp("patients"), 48, radiographs=False)


@pytest.fixture(scope="module")
def bundle_files(cohort, cache, tmp_path_factory):
    """The files of the bundle of a fit of the study."""

    def fit(resources, work, **options):
        fitted = fit_study(STUDY, cohort, cache=cache, resources=resources, work=work, **options)
        return files_of(fitted.bundle.save(tmp_path_factory.mktemp("fit") / "bundle"))

    return fit


@pytest.fixture(scope="module")
def fitted_here(bundle_files, tmp_path_factory):
    """The files of the bundle that this process fits, and the folder of its networks."""
    work = tmp_path_factory.mktemp("networks")
    return bundle_files(Resources(), work), work


@pytest.fixture(scope="module")
def cluster():
    """Two nodes, connected to while tests of this module run, which spares each its start."""
    with two_nodes() as cluster, connected(Resources(on=RAY, ray_address=cluster.address)):
        yield cluster


class LosesANode(Silent):
    """Kills a node once it fits a network, as the other one does."""

    def __init__(self, kill):
        self.begun = Counter()
        self.kill = kill

    @contextmanager
    def task(self, description, total=None):
        if description.startswith("network"):
            self.begun[description] += 1
            if self.begun.total() == 2:
                self.kill()
        yield lambda steps: None


def test_a_fit_that_loses_a_node_is_equal_to_the_bit(cluster, bundle_files, fitted_here, tmp_path):
    lost = cluster.list_all_nodes()[1]
    progress = LosesANode(lambda: cluster.remove_node(lost, allow_graceful=False))
    resources = Resources(on=RAY, ray_address=cluster.address)
    files, (expected, _) = bundle_files(resources, tmp_path, progress=progress), fitted_here
    add_node(cluster)
    assert progress.begun.total() == 3, "one of two networks was fitted again"
    assert files.keys() == expected.keys()
    assert {name for name in files if files[name] != expected[name]} == set()
    assert not list(tmp_path.rglob("*.ckpt")), "checkpoints stay on the nodes"
    spent = {row.name: row.spent for row in resources.stages.rows()}
    assert all(spent[part].processor_s > 0 for part in ("network", "logistic_regression", "decision_tree"))


def test_finished_networks_are_not_fitted_again(cluster, bundle_files, fitted_here, tmp_path):
    expected, networks = fitted_here
    shutil.copytree(networks, tmp_path / "work")
    progress = LosesANode(lambda: pytest.fail("networks were fitted again"))
    resources = Resources(on=RAY, ray_address=cluster.address)
    files = bundle_files(resources, tmp_path / "work", progress=progress, golden=False)
    assert not progress.begun
    fitted = [name for name in expected if name.endswith(".safetensors") or name == "calibration.json"]
    assert {name for name in fitted if files[name] != expected[name]} == set()


def test_the_command_line_trains_on_a_cluster(cluster, cohort, tmp_path, monkeypatch):
    (tmp_path / "study.yaml").write_text(SIMPLE.to_yaml())
    folders = []
    for options in ([], ["--on", "ray", "--ray-address", cluster.address]):
        folders.append(tmp_path / f"bundle{len(options)}")
        words = ["train", cohort.path, "--config", tmp_path / "study.yaml", "--out", folders[-1], *options]
        monkeypatch.setattr("sys.argv", ["polyclinic", *map(str, words)])
        with pytest.raises(SystemExit) as ended:
            main()
        assert ended.value.code == 0
    here, there = map(files_of, folders)
    assert {name for name in here if here[name] != there.get(name)} == {"timings.json"}
