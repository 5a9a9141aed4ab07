"""Checkpoints are whole or absent, and bring everything back."""

import torch

from fairlora_cls.training.checkpoints import (
    Checkpoint,
    Progress,
    load_best,
    load_latest,
    optimizer_tensors,
    restore_optimizer,
    save_best,
    save_checkpoint,
)


def checkpoint(step):
    weights = {"a.b": torch.full((2, 3), float(step))}
    return Checkpoint(
        weights,
        {"a.b/step": torch.tensor(1.0)},
        {"state/group_dro/sex": torch.tensor([0.25, 0.75])},
        {"scaler": {"scale": 4.0}},
        Progress(step=step, best_score=0.5),
    )


def test_round_trip_and_the_newest_wins(tmp_path):
    for step in (5, 10, 15):
        save_checkpoint(tmp_path, checkpoint(step))
    found = load_latest(tmp_path)
    assert found.progress == Progress(step=15, best_score=0.5)
    assert found.extra == {"scaler": {"scale": 4.0}}
    assert torch.equal(found.weights["a.b"], torch.full((2, 3), 15.0))
    assert set(found.optimizer) == {"a.b/step"}
    assert found.objective["state/group_dro/sex"].tolist() == [0.25, 0.75]
    assert len(list(tmp_path.glob("step-*"))) == 2


def test_a_broken_newest_checkpoint_falls_back_to_the_one_before(tmp_path):
    for step in (5, 10):
        save_checkpoint(tmp_path, checkpoint(step))
    newest = max(tmp_path.glob("step-*"))
    newest.write_bytes(newest.read_bytes()[:-3])
    assert load_latest(tmp_path).progress.step == 5


def test_nothing_there(tmp_path):
    assert load_latest(tmp_path) is None
    assert load_latest(tmp_path / "nowhere") is None


def test_best(tmp_path):
    save_best(tmp_path, {"x": torch.ones(2)}, 3)
    assert torch.equal(load_best(tmp_path, 3)["x"], torch.ones(2))


def test_optimizer_state_goes_on_exactly(tmp_path):
    def three_steps(interrupt):
        weight = torch.nn.Parameter(torch.linspace(0, 1, 6))
        names = {id(weight): "w"}
        build = lambda: torch.optim.AdamW([weight], lr=0.1, fused=True)  # noqa: E731
        optimizer = build()
        for step in range(3):
            if interrupt and step == 2:
                saved = optimizer_tensors(optimizer, names)
                optimizer = build()
                restore_optimizer(optimizer, saved, names)
            weight.grad = torch.sin(weight.detach() * (step + 1))
            optimizer.step()
        return weight.detach()

    assert torch.equal(three_steps(False), three_steps(True))
