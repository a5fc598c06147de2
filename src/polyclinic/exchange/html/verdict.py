"""What is said, how well it is known, whether to rely on it, and from how much of the record."""

from collections.abc import Iterator

from polyclinic.assess import Answer, ConformalSet, Operating, OutputEstimate, Record
from polyclinic.evaluation.estimate import percent
from polyclinic.evaluation.report.document import escape
from polyclinic.evaluation.report.metric_names import term
from polyclinic.exchange.html.markup import at, chance, chips, outcome
from polyclinic.explain.display.labels import label_of, number

MODALITIES = {
    "structured": "structured record",
    "series": "measurements over time",
    "note": "notes",
    "image": "pictures",
    "waveform": "waveforms",
}
BASES = {
    "calibration_and_networks": "95 % interval, over calibrations and networks",
    "calibration": "95 % interval, over calibrations",
    "networks": "range over the networks",
}
MEASURED = {
    "held_out": "on patients kept apart",
    "cross_validation": "in cross-validation",
    "out_of_fold": "on patients of development, out of fold",
}
LISTED = 8
UNUSUAL = 0.95
"""Of development samples, less unusual than the record: from there on it is said."""


def verdict(answer: Answer) -> str:
    """Give the answer, or why there is none, and what to know before relying on it."""
    sets = "" if answer.abstains else _sets(answer)
    return f'<div class="verdict">{_abstention(answer)}{_numbers(answer)}{sets}</div>'


def cautions(answer: Answer, record: Record | None, lacks: tuple[str, ...]) -> str:
    """Give what limits the answer, unless nothing does."""
    told = [*_cost(answer), *(_unusual(record) if record else ()), *lacks]
    if not told:
        return ""
    items = "".join(f"<li>{escape(one)}</li>" for one in told)
    return f'<div class="cautions"><h3>Before relying on this</h3><ul>{items}</ul></div>'


def completeness(record: Record) -> str:
    """Give which inputs were there, and what such records usually hold besides."""
    facts = [("present", "✓", MODALITIES.get(name, name)) for name in record.present]
    facts += [("missing", "✕", f"{MODALITIES.get(name, name)}: not recorded") for name in record.missing]
    told = f"<p>{record.events:,} events were read, none of them later than {_minute(record)}.</p>"
    lacking = [f"{label_of(one.code)} ({percent(one.share)})" for one in record.usually_there]
    unread = [f"{label_of(one.code)} ({one.events:,} ×)" for one in record.unknown]
    told += _listed("Usually recorded, and not here", lacking) + _listed("Recorded, but unknown to the model", unread)
    return f'<section class="complete"><h3>What was known</h3>{chips(facts)}{told}</section>'


def _minute(record: Record) -> str:
    return f"{record.prediction_time:%Y-%m-%d %H:%M}"


def _listed(title: str, items: list[str]) -> str:
    if not items:
        return ""
    more = f" and {len(items) - LISTED} more" if len(items) > LISTED else ""
    return f"<p><b>{title}:</b> {escape(', '.join(items[:LISTED]))}{more}.</p>"


def _abstention(answer: Answer) -> str:
    if not answer.abstains:
        return ""
    reasons = "".join(f"<li>{escape(one.text)}</li>" for one in answer.abstentions)
    told = "The numbers below are not to be relied on." if answer.outputs else "No number is given."
    head = '<p class="head">The model abstains</p>'
    return f'<div class="abstention" role="note">{head}<ul>{reasons}</ul><p>{told}</p></div>'


def _numbers(answer: Answer) -> str:
    if not answer.outputs:
        return ""
    if answer.kind == "regression":
        return _estimate(answer.outputs[0], answer.unit or "", answer.abstains)
    if len(answer.outputs) == 1:
        return _probability(answer.outputs[0], answer.abstains)
    rows = "".join(_outcome(said, answer.abstains) for said in _ordered(answer))
    table = f'<table class="outputs"><tbody>{rows}</tbody></table>'
    return f"<div{_doubtful(answer.abstains)}>{table}{_bases(answer.outputs[0])}</div>"


def _ordered(answer: Answer) -> list[OutputEstimate]:
    """Give classes and labels from the most probable, and times in their order."""
    if answer.kind == "time_to_event":
        return list(answer.outputs)
    return sorted(answer.outputs, key=lambda said: -said.value)


def _probability(said: OutputEstimate, abstains: bool) -> str:
    interval = f'<span class="interval">{_interval(said)}</span>' if said.low is not None else ""
    call = "" if abstains else _call(said.operating)
    return (
        f'<div{_doubtful(abstains)}><p class="number"><span class="value">{escape(chance(said.value))}</span>'
        f" {interval}</p>{_scale(said, 58, named=True)}{_bases(said)}{call}</div>"
    )


def _doubtful(abstains: bool) -> str:
    return ' class="doubtful"' if abstains else ""


def _interval(said: OutputEstimate) -> str:
    return escape(f"{chance(said.low or 0).removesuffix(' %')} to {chance(said.high or 0)}")


def _outcome(said: OutputEstimate, abstains: bool) -> str:
    name, interval, called = outcome(said.output), "", ""
    if said.low is not None:
        interval = _interval(said)
    if said.operating is not None and not abstains:
        called = "called" if said.operating.positive else "not called"
    return (
        f'<tr><th scope="row">{escape(name)}</th><td class="bar">{_scale(said, 22, named=False)}</td>'
        f'<td class="number"><b>{escape(chance(said.value))}</b></td><td class="interval">{interval}</td>'
        f'<td class="call">{called}</td></tr>'
    )


def _scale(said: OutputEstimate, height: int, named: bool) -> str:
    """Draw a probability between 0 and 1, its interval, and the threshold."""
    top = 18 if named else 4
    told = f"Probability {chance(said.value)}"
    drawn = f'<rect class="track" x="0" width="100%" y="{top}" height="14" rx="2"/>'
    if said.low is not None and said.high is not None:
        told += f", interval {chance(said.low)} to {chance(said.high)}"
        width = at(max(said.high - said.low, 0.002))
        drawn += f'<rect class="band" x="{at(said.low)}" width="{width}" y="{top}" height="14"/>'
    drawn += f'<line class="point" x1="{at(said.value)}" x2="{at(said.value)}" y1="{top - 3}" y2="{top + 17}"/>'
    if said.operating is not None:
        threshold = said.operating.threshold
        if 0 <= threshold <= 1:
            told += f", threshold {chance(threshold)}"
            drawn += _threshold(threshold, top, named)
    if named:
        drawn += "".join(
            f'<text class="{kind}" x="{at(share)}" y="{top + 34}">{escape(percent(share))}</text>'
            for share, kind in ((0, "first"), (0.25, ""), (0.5, ""), (0.75, ""), (1, "last"))
        )
    return f'<svg class="scale" height="{height}" role="img" aria-label="{escape(told)}">{drawn}</svg>'


def _threshold(threshold: float, top: int, named: bool) -> str:
    place, start = at(threshold), 2 if named else 0
    drawn = f'<line class="threshold" x1="{place}" x2="{place}" y1="{start}" y2="{top + 18}"/>'
    if not named:
        return drawn
    kind, shift = ("last", -6) if threshold > 0.7 else ("first", 6)
    return (
        drawn
        + f'<text class="{kind} threshold" x="{place}" dx="{shift}" y="11">threshold {escape(chance(threshold))}</text>'
    )


def _bases(said: OutputEstimate) -> str:
    return f'<p class="basis">{BASES[said.basis]}</p>' if said.basis else ""


def _call(operating: Operating | None) -> str:
    if operating is None:
        return ""
    where = "At or above" if operating.positive else "Below"
    called = "a call" if operating.positive else "no call"
    figures = {"Sensitivity": operating.sensitivity, "PPV": operating.ppv}
    told = ", ".join(f"{name} {figure}" for name, figure in figures.items())
    return (
        f'<p class="call"><b>{where} the threshold of {escape(chance(operating.threshold))}: {called}.</b> '
        f"{escape(told)}, measured {MEASURED[operating.measured]}.</p>"
    )


def _estimate(said: OutputEstimate, unit: str, abstains: bool) -> str:
    interval = ""
    if said.low is not None and said.high is not None:
        interval = f'<span class="interval">{escape(f"{number(said.low)} to {number(said.high)} {unit}")}</span>'
    value = f'<span class="value">{escape(f"{number(said.value)} {unit}")}</span>'
    return f'<div{_doubtful(abstains)}><p class="number">{value} {interval}</p>{_bases(said)}</div>'


def _sets(answer: Answer) -> str:
    told = [_set(one, answer.unit or "") for one in answer.sets]
    return "".join(f'<p class="set">{one}</p>' for one in told)


def _set(one: ConformalSet, unit: str) -> str:
    about = f"<b>{escape(one.output)}:</b> " if one.output else ""
    level = percent(one.level)
    if one.everything:
        said = "no answer can be ruled out"
    elif one.low is not None and one.high is not None:
        said = f"between {number(one.low)} and {number(one.high)} {unit}"
    else:
        said = " or ".join(one.answers) or "no answer fits"
    promise = "" if one.split else ", approximately"
    return f"{about}At {level} confidence{promise}: <b>{escape(said)}</b>."


def _cost(answer: Answer) -> Iterator[str]:
    cost = answer.cost
    if cost is not None:
        missing = " and ".join(MODALITIES.get(name, name) for name in cost.missing)
        yield f"Without {missing}, {term(cost.figure).label} is {cost.given}; with everything it is {cost.whole}."


def _unusual(record: Record) -> Iterator[str]:
    typicality = record.typicality
    if typicality is not None and typicality.quantile > UNUSUAL and not typicality.far:
        rank = percent(typicality.quantile, 1)
        yield f"The record is unusual: more so than {rank} of {typicality.samples:,} that the model was developed on."
