"""The same grid on a local Ray cluster."""

import pytest

from fairlora_cls.ablations.plan import make_plan
from fairlora_cls.errors import InputError
from tests.test_ablation_execution import Ear

BASE = """
data:
  source: table
  path: {cohort}
  options: {{attributes: [ethnicity, sex], classes: [no, yes]}}
  sensitive: [sex, ethnicity]
  limit: 24
training: {{epochs: 1, warmup_steps: 1}}
report: {{bootstrap: 20}}
"""
GRID = """
base: base.yaml
settings:
  - {name: plain, objective.method: vanilla}
  - {name: wild, objective.method: vanilla, training.learning_rate: 1.0e+30}
"""


def test_jobs_run_as_actors(cohort, tmp_path, monkeypatch):
    pytest.importorskip("ray")
    from fairlora_cls.ablations.on_ray import run_on_ray

    (tmp_path / "base.yaml").write_text(BASE.format(cohort=cohort), encoding="utf-8")
    (tmp_path / "grid.yaml").write_text(GRID, encoding="utf-8")
    plan = make_plan(str(tmp_path / "grid.yaml"), tmp_path / "out")
    ear = Ear()
    failures = run_on_ray(plan.jobs, "local", ear)
    plain, wild = plan.jobs
    assert (plain.folder / "report" / "report.json").is_file()
    assert list(failures) == [wild.folder]
    assert "training stopped before" in failures[wild.folder]
    assert [entry[0] for entry in ear.heard] == ["begins", "ends", "begins", "ends"]


def test_without_ray_the_way_out_is_named(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "ray", None)
    from fairlora_cls.ablations.on_ray import run_on_ray

    with pytest.raises(InputError, match=r"pip install 'fairlora-cls\[ray\]'"):
        run_on_ray([], "local", Ear())
