"""What the verbs report and compare do with generated texts, and the features that pairs need."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from fairlora_cls.cli.display import open_display
from fairlora_cls.cli.terminal import show_report, terminal

if TYPE_CHECKING:
    from fairlora_cls.evaluation.features import Features


def report_texts(
    file: Path,
    attributes: list[str] | None,
    metrics: list[str] | None,
    scores: Path | None,
    features: Path | None,
    minimum_similarity: float,
    folder: Path,
    **options: Any,
) -> None:
    """The report on a file of texts; `options` are those of `text_report`."""
    from fairlora_cls.evaluation.generations import read_generations
    from fairlora_cls.evaluation.outside_scores import read_scores
    from fairlora_cls.evaluation.report import write_report
    from fairlora_cls.evaluation.text_report import example_ids, text_report
    from fairlora_cls.evaluation.text_scores import score_texts
    from fairlora_cls.evaluation.usual_metrics import needed_metrics, usual_metrics
    from fairlora_cls.runs.folder import claim_report_folder

    claim_report_folder(folder)
    texts = read_generations(file)
    outside = read_scores(scores, texts.ids) if scores else {}
    own = [name for name in needed_metrics(metrics or usual_metrics(texts)) if name not in outside]
    scored = score_texts(texts, own, outside)
    found = text_report(
        texts, scored, attributes, headline=metrics[0] if metrics else None, **options
    )
    if features:
        from fairlora_cls.evaluation.matching_section import counterfactual_section
        from fairlora_cls.evaluation.sections import add_sections
        from fairlora_cls.evaluation.text_matching import counterfactual_text_gaps

        given = load_features(features, tuple(dict.fromkeys(example_ids(texts))))
        gaps = counterfactual_text_gaps(
            texts, scored, found, given, found.attributes, minimum_similarity=minimum_similarity
        )
        found = add_sections(found, [counterfactual_section(gaps, given.source)])
    write_report(found, folder)
    show_report(file.stem, found, folder)


def compare_text_files(
    paths: list[Path],
    attributes: list[str] | None,
    metrics: list[str] | None,
    folder: Path,
    bootstrap: int,
    seed: int,
) -> None:
    """The comparison of files of texts, or of generative runs, with the first."""
    from fairlora_cls.evaluation.text_comparison import align_generations, compare_texts
    from fairlora_cls.evaluation.text_comparison_files import (
        describe_text_comparison,
        write_text_comparison,
    )
    from fairlora_cls.evaluation.text_scores import score_texts
    from fairlora_cls.evaluation.usual_metrics import needed_metrics, usual_metrics
    from fairlora_cls.runs.compared import load_compared_texts

    tables, covered = load_compared_texts(paths)
    tables = align_generations(tables)
    own = needed_metrics(metrics or usual_metrics(next(iter(tables.values()))))
    found = compare_texts(
        tables,
        {name: score_texts(table, own) for name, table in tables.items()},
        attributes or covered,
        headline=metrics[0] if metrics else None,
        bootstrap=bootstrap,
        seed=seed,
    )
    write_text_comparison(found, folder)
    for text in describe_text_comparison(found):
        terminal.print(text)
    terminal.print(f"Comparison: {folder / 'comparison.html'}")


def load_features(path: Path, ids: tuple[str, ...]) -> Features:
    """Features of a file, or of a run's vision tower for the images with these ids."""
    if path.is_dir():
        from fairlora_cls.runs.saved import visual_features

        with open_display() as display:
            return visual_features(path, ids, display)
    from fairlora_cls.evaluation.features import read_features

    return read_features(path)
