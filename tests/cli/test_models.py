"""The verbs that train, measure and answer."""

import json
import re
import shutil

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from polyclinic import Bundle, Cohort
from polyclinic.cli.compare import tree_rules
from polyclinic.files import write_text
from polyclinic.tasks import Task, label
from tests.hospital import SIMPLE, STUDY, rewritten
from tests.little_training import few_trees, no_pictures

TASK = "demo_deterioration"


@pytest.fixture
def simple(tmp_path):
    """The YAML of a study that is fitted at once."""
    SIMPLE.save(tmp_path / "simple.yaml")
    return tmp_path / "simple.yaml"


@pytest.fixture
def copy(hospital, tmp_path):
    """The same patients under other names."""
    return rewritten(
        hospital, tmp_path / "copy", lambda events: events.with_columns(subject_id=pl.col("subject_id") + 1_000_000)
    )


def test_train_writes_a_bundle_and_prints_a_table(simple, hospital, polyclinic, tmp_path):
    done = polyclinic("train", hospital.path, "--config", simple, "--out", tmp_path / "bundle")
    assert done.code == 0
    assert f"{TASK}: held-out subjects, n = " in done.out
    assert "unified" in done.out
    assert "logistic_regression" in done.out
    assert f"→ {tmp_path / 'bundle'}" in done.out
    assert Bundle.load(tmp_path / "bundle").inputs == SIMPLE.inputs
    assert "classical models …" in done.err


def test_train_on_all_subjects_evaluates_none(simple, hospital, polyclinic, tmp_path):
    bundle = tmp_path / "bundle"
    people = label(hospital, Task.load(TASK)).frame["subject_id"]
    noted = hospital.events().filter(pl.col("code") == "NOTE//indication").collect()["subject_id"].unique()
    number, with_notes = len(people), people.is_in(noted.implode()).sum()
    assert 0 < with_notes < number < 72, "some have no note, and some no answer"
    words = ("train", hospital.path, "--config", simple, "--everyone", "--out", bundle)
    done = polyclinic(*words)
    assert done.code == 0
    present = Bundle.load(bundle).origin["present"]
    assert present["note"] == with_notes
    assert done.out == (
        f"trained on {number} samples of {number} subjects (train, tuning, held_out)\n"
        f"answered: {TASK} {number}\n"
        f"present: structured {present['structured']}, note {with_notes}\n"
        f"→ {bundle}\n"
    )
    assert f"no subjects are held out: polyclinic evaluate {bundle} OTHER_COHORT --split all" in done.err
    printed = polyclinic(*words, "--json").json
    stages = [row["stage"] for row in printed.pop("spent")]
    assert stages[:2] == ["fit", "labels"]
    assert "evaluate" not in stages
    assert printed == {
        "bundle": str(bundle),
        "learnt_from": {
            "splits": ["train", "tuning", "held_out"],
            "subjects": number,
            "samples": number,
            "answered": {TASK: number},
            "present": present,
        },
        "measured": None,
    }


def test_train_prints_the_seconds_of_each_stage(simple, hospital, polyclinic, tmp_path):
    done = polyclinic("train", hospital.path, "--config", simple, "--out", tmp_path / "b", "--profile", "--jobs", 1)
    rows = [line.strip("│ ").split("│") for line in done.err.splitlines() if line.startswith("│")]
    printed = {cells[0].strip(): [float(cell) for cell in cells[1:]] for cells in rows}
    for stage in ("labels", "features", "frozen encoders", "members", "logistic_regression", "evaluate"):
        assert stage in printed
    assert printed["fit"][1] >= printed["cross-fitting"][1] >= printed["logistic_regression"][1] > 0
    written = json.loads((tmp_path / "b" / "timings.json").read_text())
    assert {row["stage"]: round(row["wall_s"], 1) for row in written} == pytest.approx(
        {stage: seconds[0] for stage, seconds in printed.items()}, abs=0.11
    )


def test_train_refuses_options_without_effect(simple, hospital, polyclinic, tmp_path):
    words = ("train", hospital.path, "--config", simple, "--out", tmp_path / "b")
    assert "give --folds as well" in polyclinic(*words, "--repeats", 3).usage
    assert "this study has no network" in polyclinic(*words, "--logger", "tensorboard").usage
    assert "inputs must name each modality once, and at least one" in polyclinic(*words, "--inputs", "").refusal
    assert not (tmp_path / "b").exists()


def test_train_with_folds_as_json(simple, hospital, polyclinic, tmp_path, monkeypatch):
    no_pictures(monkeypatch)
    words = ("--folds", 2, "--repeats", 2, "--out", tmp_path / "bundle", "--json")
    done = polyclinic("train", hospital.path, "--config", simple, *words)
    assert done.code == 0
    assert done.json["bundle"] == str(tmp_path / "bundle")
    assert done.json["learnt_from"]["splits"] == ["train", "tuning", "held_out"]
    measured = done.json["measured"][TASK]
    assert measured.keys() == {"evaluation", "comparison", "subsets", "cautions", "inputs"}
    assert measured["evaluation"] == json.loads((tmp_path / "bundle" / "metrics.json").read_text())[TASK]
    assert (tmp_path / "bundle" / "repeats.json").is_file()


def test_train_refuses_invalid_input(hospital, polyclinic, tmp_path):
    refused = polyclinic("train", hospital.path, "--task", "demo_stya", "--out", tmp_path / "b").refusal
    assert "no task 'demo_stya'" in refused
    refused = polyclinic("train", hospital.path, "--task", TASK, "--logger", "magic", "--out", tmp_path / "b").refusal
    assert refused == "unknown logger 'magic': choose from csv, mlflow, tensorboard"
    network = STUDY.network.model_copy(update={"fusion": "magic"})
    STUDY.model_copy(update={"network": network}).save(tmp_path / "study.yaml")
    refused = polyclinic("train", hospital.path, "--config", tmp_path / "study.yaml", "--out", tmp_path / "b").refusal
    assert "unknown fusion 'magic': choose from bottleneck, concat" in refused
    assert "nowhere.yaml cannot be read" in polyclinic("train", hospital.path, "--config", "nowhere.yaml").refusal
    assert not (tmp_path / "b").exists()


def test_train_does_not_overwrite_other_folders(simple, hospital, polyclinic, tmp_path):
    write_text(tmp_path / "mine" / "thesis.txt", "years of work")
    refused = polyclinic("train", hospital.path, "--config", simple, "--out", tmp_path / "mine").refusal
    assert "holds something other than a bundle" in refused
    assert [path.name for path in (tmp_path / "mine").iterdir()] == ["thesis.txt"]
    file = tmp_path / "mine" / "thesis.txt"
    for out in (file, file / "bundle"):
        refused = polyclinic("train", hospital.path, "--config", simple, "--out", out).refusal
        assert refused == f"{file} is a file, not a folder: name another folder"
    assert file.read_text() == "years of work"


def test_train_overwrites_no_folder_that_looks_like_a_bundle(simple, hospital, polyclinic, tmp_path):
    """A file of a bundle's name, or a folder of checkpoints, does not make it one."""
    for number, file in enumerate(("bundle.json", ".work/mine.txt", ".work/mine/notes.txt")):
        folder = tmp_path / str(number)
        write_text(folder / file, '{"of": "something else"}')
        refused = polyclinic("train", hospital.path, "--config", simple, "--out", folder).refusal
        assert "holds something other than a bundle" in refused
        assert (folder / file).read_text() == '{"of": "something else"}'


@pytest.mark.parametrize("folds", [(), ("--folds", 2)])
def test_a_refused_train_leaves_nothing_behind(folds, simple, hospital, polyclinic, tmp_path):
    noted = pl.col("code").cast(pl.String).str.starts_with("NOTE//")
    without = rewritten(hospital, tmp_path / "without", lambda events: events.filter(~noted))
    words = ("train", without.path, "--config", simple, *folds, "--out", tmp_path / "bundle")
    assert "no development subject has note" in polyclinic(*words, "--inputs", "structured,note").refusal
    assert "the cohort has no outcome of" in polyclinic(*words, "--task", "indiana_normal").refusal
    assert not (tmp_path / "bundle").exists()


def test_evaluate_on_held_out_subjects(trained, hospital, polyclinic, tmp_path):
    done = polyclinic("evaluate", trained.folder, hospital.path, "--html", tmp_path / "page.html")
    assert done.code == 0
    assert f"{TASK}: held_out subjects, n = " in done.out
    assert "<html" in (tmp_path / "page.html").read_text()
    measured = polyclinic("evaluate", trained.folder, hospital.path, "--json").json[TASK]
    written = json.loads((trained.folder / "metrics.json").read_text())[TASK]
    assert measured["evaluation"]["figures"] == written["figures"]


def test_evaluate_writes_the_card_with_what_people_state(trained, copy, polyclinic, tmp_path):
    (tmp_path / "about.yaml").write_text("developer: Clinic X\nfunding: null\n")
    card = tmp_path / "card.json"
    options = ("--split", "all", "--card", card, "--about", tmp_path / "about.yaml")
    assert polyclinic("evaluate", trained.folder, copy.path, *options).code == 0
    written = json.loads(card.read_text())
    assert written["about"]["developer"] == "Clinic X"
    assert written["tasks"][0]["source_attributes"]["details"]["funding"] is None
    (tmp_path / "data.csv").write_text("a,b\n")
    options = ("--card", tmp_path / "data.csv")
    assert "data.csv" in polyclinic("evaluate", trained.folder, copy.path, *options).refusal
    assert (tmp_path / "data.csv").read_text() == "a,b\n"


@pytest.mark.parametrize("verb", ["train", "evaluate"])
def test_statements_that_are_not_known_are_refused_before_work(verb, trained, hospital, simple, polyclinic, tmp_path):
    (tmp_path / "about.yaml").write_text("developer: X\nfundng: Y\n")
    first = (hospital.path, "--config", simple, "--out", tmp_path / "b")
    command = first if verb == "train" else (trained.folder, hospital.path)
    refused = polyclinic(verb, *command, "--about", tmp_path / "about.yaml").refusal
    assert "about.yaml line 2: fundng: unknown key: choose from availability, " in refused
    assert not (tmp_path / "b").exists()


def test_evaluate_another_cohort_by_a_code(trained, copy, polyclinic):
    done = polyclinic("evaluate", trained.folder, copy.path, "--split", "all", "--by", "DIAGNOSIS//diabetes", "--json")
    tables = {row["table"] for row in done.json[TASK]["evaluation"]["groups"]}
    assert "DIAGNOSIS//diabetes" in tables


def test_evaluate_refuses_invalid_input(trained, hospital, polyclinic, tmp_path):
    refused = polyclinic("evaluate", trained.folder, hospital.path, "--split", "test").refusal
    assert refused == "unknown split 'test': choose from train, tuning, held_out"
    assert polyclinic("evaluate", tmp_path, hospital.path).refusal.startswith(f"no bundle at {tmp_path}: create one")
    assert polyclinic("evaluate", trained.folder, tmp_path).refusal.startswith(f"no cohort at {tmp_path}: make one")


def test_evaluate_warns_about_training_subjects(trained, hospital, polyclinic):
    done = polyclinic("evaluate", trained.folder, hospital.path, "--split", "tuning")
    assert done.code == 0
    assert "caution: 10 of these subjects were used in training, so the figures are optimistic" in done.err


def test_predict_writes_a_prediction_per_subject(trained, hospital, polyclinic, tmp_path):
    out = tmp_path / "new" / "predictions.parquet"
    done = polyclinic("predict", trained.folder, hospital.path, "--out", out)
    assert (done.code, done.out) == (0, f"72 predictions for 72 subjects → {out}\n")
    written = pl.read_parquet(out)
    assert written.drop("source_id").equals(trained.bundle().predict(hospital).frame)
    assert written.columns[:2] == ["subject_id", "source_id"]
    assert dict(written.select("subject_id", "source_id").rows()) == dict(
        hospital.subjects.select("subject_id", "source_id").rows()
    )


def test_predictions_replace_nothing_but_predictions(polyclinic, tmp_path):
    table, other = tmp_path / "labs.csv", tmp_path / "other.parquet"
    table.write_text("id,value")
    pl.DataFrame({"id": [1]}).write_parquet(other)
    for file, reason in ((table, "of another kind"), (other, "something other than predictions")):
        assert reason in polyclinic("predict", "nowhere", "nowhere", "--out", file).refusal
    assert table.read_text() == "id,value"


def test_predict_as_json_for_a_split(trained, hospital, polyclinic, tmp_path):
    out = tmp_path / "predictions.parquet"
    done = polyclinic(
        "predict", trained.folder, hospital.path, "--out", out, "--split", "held_out", "--task", TASK, "--json"
    )
    number = len(hospital.subjects_in("held_out"))
    assert done.json == {
        "predictions": number,
        "subjects": number,
        "asked": number,
        "without_input": 0,
        "file": str(out),
        "with_input": number,
        "unlike_development": 0,
        "unusual_codes": [],
        "ignored_events": {},
        "unusable_blobs": [],
    }
    assert "caution" not in done.err


def test_predict_for_some_patients(trained, hospital, polyclinic, tmp_path):
    """As for all, by the source's id or the number."""
    out, everyone = tmp_path / "predictions.parquet", trained.bundle().predict(hospital).frame
    first, second = everyone["subject_id"][0], everyone["subject_id"][7]
    words = ("--subject", hospital.source_id(first), "--subject", second)
    assert polyclinic("predict", trained.folder, hospital.path, "--out", out, *words).code == 0
    expected = everyone.filter(pl.col("subject_id").is_in([first, second]))
    assert_frame_equal(pl.read_parquet(out).drop("source_id"), expected, abs_tol=1e-6)
    refused = polyclinic("predict", trained.folder, hospital.path, "--out", out, *words, "--split", "tuning")
    assert "name patients or a split, not both" in refused.usage
    assert (
        "no such subject" in polyclinic("predict", trained.folder, hospital.path, "--out", out, "--subject", 7).refusal
    )


def test_predict_counts_and_marks_samples_without_input(trained, copy, polyclinic, tmp_path):
    """As where another hospital's codes are spelt differently: all of five patients', but the notes of one of them."""
    strangers = copy.subjects["subject_id"].sort()[:5].to_list()
    renamed = pl.col("subject_id").is_in(strangers) & ~(
        (pl.col("subject_id") == strangers[0]) & pl.col("code").str.starts_with("NOTE//")
    )
    other = rewritten(
        copy,
        tmp_path / "other",
        lambda events: events.with_columns(
            code=pl.when(renamed).then(pl.lit("LAB//theirs//g")).otherwise("code"),
            blob=pl.when(~renamed).then("blob"),
        ),
    )
    out = tmp_path / "p.parquet"
    words = ("predict", trained.folder, other.path, "--out", out)
    done = polyclinic(*words)
    assert done.code == 0
    assert "caution: 4 of 72 samples have no input; the training prior is predicted for them" in done.err
    written = pl.read_parquet(out)
    assert written.filter(inputs="none")["subject_id"].to_list() == strangers[1:]
    assert written.filter(subject_id=strangers[0])["inputs"].to_list() == ["note"]
    assert written.filter(inputs="none")["predicted_boolean_probability"].n_unique() == 1
    done = polyclinic(*words, "--json")
    assert (done.json["asked"], done.json["without_input"]) == (72, 4)
    assert "caution: 4 of 72" in done.err


def test_predict_counts_codes_unknown_from_training(trained, copy, polyclinic, tmp_path):
    strange = rewritten(
        copy,
        tmp_path / "strange",
        lambda events: events.with_columns(pl.col("code").replace({"VITAL//spo2//%": "VITAL//[spo2]//%"})),
    )
    done = polyclinic("predict", trained.folder, strange.path, "--out", tmp_path / "p.parquet")
    number = strange.events().filter(pl.col("code") == "VITAL//[spo2]//%").collect().height
    assert f"not known from training: {number:,} × VITAL//[spo2]//%" in done.out
    done = polyclinic("evaluate", trained.folder, strange.path, "--split", "all", "--html", tmp_path / "page.html")
    assert "× VITAL//[spo2]//%" in done.out
    assert "VITAL//[spo2]//% (" in (tmp_path / "page.html").read_text()


def test_values_in_another_unit_are_named(trained, copy, polyclinic, tmp_path):
    """Temperatures in °F under the code of °C."""
    code, number = "VITAL//temperature//degC", pl.col("numeric_value")
    assert code in copy.summary().per_code["code"].to_list()
    fahrenheit = rewritten(
        copy,
        tmp_path / "fahrenheit",
        lambda events: events.with_columns(
            numeric_value=pl.when(pl.col("code") == code).then(number * 1.8 + 32).otherwise(number)
        ),
    )
    done = polyclinic("predict", trained.folder, fahrenheit.path, "--out", tmp_path / "p.parquet")
    assert re.search(rf"caution: {code}: .* are outside the range of training .*; looks like °F: ×0.5556", done.err)
    done = polyclinic("predict", trained.folder, fahrenheit.path, "--out", tmp_path / "p.parquet", "--json")
    (unusual,) = done.json["unusual_codes"]
    assert (unusual["code"], unusual["conversion"]["of"]) == (code, "°F")
    done = polyclinic("evaluate", trained.folder, fahrenheit.path, "--split", "all", "--json")
    assert "looks like °F" in done.err
    (measured,) = done.json[TASK]["inputs"]["unusual_codes"]
    assert (measured["code"], measured["conversion"]) == (code, unusual["conversion"])
    assert any("looks like °F" in caution for caution in done.json[TASK]["cautions"])


def test_predict_refuses_invalid_input(trained, hospital, polyclinic, tmp_path):
    words = ("predict", trained.folder, hospital.path, "--out")
    refused = polyclinic(*words, tmp_path / "p.parquet", "--task", "demo_stay").refusal
    assert refused == f"the bundle has no task 'demo_stay': choose from {TASK}"
    assert "unknown split 'test'" in polyclinic(*words, tmp_path / "p.parquet", "--split", "test").refusal
    assert "is a folder" in polyclinic(*words, tmp_path).refusal
    assert list(tmp_path.iterdir()) == []


def test_a_damaged_bundle_is_refused(trained, hospital, polyclinic, tmp_path):
    damaged = shutil.copytree(trained.folder, tmp_path / "damaged")
    (damaged / "features.json").write_text("{}")
    refused = polyclinic("predict", damaged, hospital.path, "--out", tmp_path / "p.parquet").refusal
    assert refused.endswith("features.json was modified after it was saved: copy the bundle again, or train it again")


def test_a_damaged_image_is_named_and_counts_as_absent(trained, copy, polyclinic, tmp_path, monkeypatch):
    monkeypatch.setenv("POLYCLINIC_CACHE", str(tmp_path / "empty"))
    someone = copy.events().filter(pl.col("code").str.starts_with("IMAGE//")).collect()["subject_id"][0]
    one = rewritten(copy, tmp_path / "one", lambda events: events.filter(pl.col("subject_id") == someone))
    name = one.events().filter(pl.col("code").str.starts_with("IMAGE//")).collect()["blob"][0]
    Cohort.open(one.path).blob(name).write_bytes(b"not the picture")
    done = polyclinic("predict", trained.folder, one.path, "--out", tmp_path / "p.parquet", "--json")
    assert done.code == 0
    assert done.json["unusable_blobs"][0].startswith(f"image {name} is damaged")
    caution = "caution: 1 image or waveform cannot be used and counts as absent: image"
    assert f"{caution} {name} is damaged" in " ".join(done.err.split())


def test_compare_classical_fits_four_methods_and_prints_the_tree(hospital, polyclinic, tmp_path, monkeypatch):
    few_trees(monkeypatch)
    words = ("compare-classical", hospital.path, "--task", TASK, "--inputs", "structured", "--rules")
    done = polyclinic(*words, "--out", tmp_path / "bundle", "--json")
    assert done.code == 0
    compared = {contender["name"] for contender in done.json[TASK]["comparison"]["contenders"]}
    assert compared == {"unified", "logistic_regression", "decision_tree", "random_forest", "gradient_boosting"}
    assert " ≤ " in done.json[TASK]["rules"]
    assert Bundle.load(tmp_path / "bundle").ensemble.networks == []


def test_without_a_tree_there_are_no_rules(trained, hospital, polyclinic, tmp_path, monkeypatch):
    """A bundle of other methods in the place of the one that was fitted."""
    few_trees(monkeypatch)
    no_pictures(monkeypatch)
    other = trained.bundle()
    assert tree_rules(other) == {TASK: None}
    monkeypatch.setattr(Bundle, "load", lambda folder: other)
    words = ("compare-classical", hospital.path, "--task", TASK, "--inputs", "note", "--rules", "--out", tmp_path / "b")
    done = polyclinic(*words)
    assert done.code == 0
    assert "none: no decision tree was fitted to this task" in done.out


def test_compare_classical_refuses_time_to_event(hospital, polyclinic, tmp_path):
    refused = polyclinic("compare-classical", hospital.path, "--task", "demo_survival", "--out", tmp_path / "b").refusal
    assert refused.startswith("only a network predicts time to event")


@pytest.mark.parametrize("folds", [(), ("--folds", 2)])
def test_train_names_an_input_that_tells_the_outcome(folds, simple, hospital, polyclinic, tmp_path):
    """As where a hospital's export has the outcome in another column, dated at admission."""
    first = hospital.events().group_by("subject_id").agg(pl.col("time").min()).collect()

    def leak(events):
        answer = events.filter(pl.col("code") == "OUTCOME//deterioration").drop("time").join(first, on="subject_id")
        copied = answer.with_columns(code=pl.lit("FINDING//flag")).select(events.columns).cast(events.schema)
        return pl.concat([events, copied])

    leaking = rewritten(hospital, tmp_path / "leaking", leak)
    done = polyclinic("train", leaking.path, "--config", simple, *folds, "--out", tmp_path / "bundle")
    assert done.code == 0
    caution = f"inputs predict {TASK} almost perfectly alone, and may reveal the outcome: FINDING//flag "
    assert f"caution: In development, {caution}" in done.err
    assert "may reveal the outcome: FINDING//flag " in (tmp_path / "bundle" / "card.md").read_text()
    assert "almost perfectly alone" in (tmp_path / "bundle" / "report.html").read_text()
    done = polyclinic("evaluate", tmp_path / "bundle", leaking.path, "--split", "all", "--json")
    assert any(caution in one for one in done.json[TASK]["cautions"])


@pytest.mark.parametrize("folds", [(), ("--folds", 2)])
def test_train_takes_the_inputs_that_the_cohort_has(folds, hospital, polyclinic, tmp_path, monkeypatch):
    no_pictures(monkeypatch)
    SIMPLE.model_copy(update={"inputs": None}).save(tmp_path / "study.yaml")
    plain = pl.col("code").cast(pl.String).str.contains("^(NOTE|IMAGE)//")
    without = rewritten(hospital, tmp_path / "without", lambda events: events.filter(~plain))
    words = ("train", without.path, "--config", tmp_path / "study.yaml", *folds, "--out", tmp_path / "bundle")
    done = polyclinic(*words)
    assert done.code == 0
    assert done.err.count("inputs: structured, series, waveform (absent or too rare: note, image)\n") == 1
    assert Bundle.load(tmp_path / "bundle").inputs == ("structured", "series", "waveform")
