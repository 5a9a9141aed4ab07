"""The gradient of a whole effective batch, however it is cut."""

import os
import subprocess
import sys

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from fairlora_cls.models.outputs import Outputs
from fairlora_cls.objectives.mutual_information import (
    ATTRIBUTE_CLASSIFIERS,
    DEPENDENCES,
    PUNISHMENTS,
    AttributeDependence,
    value_frequencies,
)
from fairlora_cls.objectives.objectives import OBJECTIVES, STATISTICS, build_objective
from fairlora_cls.objectives.penalties import PENALTIES
from fairlora_cls.objectives.scores import Scores
from fairlora_cls.training.effective_batch import (
    MicroBatch,
    Step,
    backward_effective_batch,
    mask_seed,
    sum_gradients,
)
from tests.conftest import REPOSITORY

TRAINED = [name for name, preset in OBJECTIVES.items() if preset.trains]
COUNTS = {"race": (90, 4, 6), "sex": (50, 50)}
WIDTH = 16

# Every row of every table: methods alone, and each dependence in its variants, alone and joined.
CASES = [
    *((name, None) for name in TRAINED),
    *(("vanilla", kind) for kind in DEPENDENCES),
    ("hybrid", "mutual_information"),
    ("group-dro", "released"),
    ("vanilla", "frozen"),
]
# The generative task: what the objective sees is each text's loss.
CASES += [
    (*case, "texts")
    for case in CASES
    if not (kind := OBJECTIVES[case[0]].penalty) or not PENALTIES[kind].needs_classes
]


class Network(nn.Module):
    """Two layers; the first one's output is tapped. For texts, it gives losses."""

    def __init__(self, dropout: float, gives: str = "logits"):
        super().__init__()
        self.gives = gives
        torch.manual_seed(0)
        self.inner = nn.Sequential(nn.Linear(5, WIDTH), nn.Tanh(), nn.Dropout(dropout))
        self.head = nn.Linear(WIDTH, 3)

    def forward(self, inputs):
        hidden = self.inner(inputs)
        out = self.head(hidden)
        if self.gives == "texts":  # any losses will do
            return Outputs(losses=out.square().mean(dim=1), hidden=hidden[:, None])
        return Outputs(out, pooled=hidden, hidden=hidden[:, None])


def network_of(case, dropout=0.0):
    return Network(dropout, *case[2:])


def objective_of(name, dependence, statistics="effective_batch"):
    built = []
    if dependence is not None:
        torch.manual_seed(1)
        released = dependence == "released"
        built = [
            AttributeDependence(
                attribute="sex",
                tap=0,
                weight=0.8,
                kind=dependence if dependence in DEPENDENCES else "mutual_information",
                classifier=ATTRIBUTE_CLASSIFIERS["linear" if released else "mlp"](WIDTH, 2),
                punish=PUNISHMENTS["smoothed_absolute" if released else "plain"],
                class_weights=None if released else value_frequencies((60, 40)),
                trains=dependence != "frozen",
            )
        ]
    return build_objective(
        name, COUNTS, dependences=built, statistics=statistics, dro_step_size=0.5, decay=0.8
    )


def step_data(step: int, size: int = 8):
    generator = torch.Generator().manual_seed(100 + step)
    inputs = torch.randn(size, 5, generator=generator)
    labels = torch.randint(3, (size,), generator=generator)
    groups = {
        "race": torch.randint(3, (size,), generator=generator),
        "sex": torch.randint(2, (size,), generator=generator),
    }
    recorded = groups["sex"].clone()
    recorded[1] = -1
    return inputs, labels, groups, {"sex": recorded}


def cut(inputs, step, size):
    places = torch.arange(len(inputs)).split(size)
    share = [MicroBatch(p, mask_seed(1, step, j), inputs[p]) for j, p in enumerate(places)]
    return share, places


def alone(tensor):
    return tensor


def gradients_of(model, objective, state, data, share, places, gather=alone):
    _, labels, groups, recorded = data
    return backward_effective_batch(
        model,
        torch.Tensor.backward,
        gather,
        objective,
        state,
        share,
        Step(labels, groups, recorded, places),
        {
            **({"losses": ()} if model.gives == "texts" else {"logits": (3,)}),
            **({"hidden": (1, WIDTH)} if objective.dependences else {}),
        },
    )


def all_parameters(model, objective):
    return [*model.parameters(), *(p for _, p in objective.named_parameters())]


def train_steps(case, micro_batch, statistics="effective_batch", sizes=(8, 8, 8, 8)):
    """All parameters and the objective's memory after some steps."""
    model = network_of(case)
    objective = objective_of(*case[:2], statistics)
    state = objective.initial_state(torch.device("cpu"))
    parameters = all_parameters(model, objective)
    optimizer = torch.optim.AdamW(parameters, lr=1e-2)
    for step, size in enumerate(sizes):
        data = step_data(step, size)
        output, _ = gradients_of(model, objective, state, data, *cut(data[0], step, micro_batch))
        state = output.state
        optimizer.step()
        optimizer.zero_grad()
    return torch.cat([t.detach().reshape(-1) for t in [*parameters, *state.values()]])


@pytest.mark.parametrize("statistics", ["effective_batch", "running"])
@pytest.mark.parametrize("case", CASES, ids=str)
@pytest.mark.parametrize("micro_batch", [1, 2, 3, 4])
def test_micro_batches_give_the_same_parameters(case, micro_batch, statistics):
    whole = train_steps(case, 8, statistics)
    assert not torch.equal(whole, train_steps(case, 8, statistics, sizes=()))
    torch.testing.assert_close(
        train_steps(case, micro_batch, statistics), whole, rtol=1e-4, atol=2e-6
    )


@pytest.mark.parametrize("case", CASES, ids=str)
def test_an_uneven_last_batch(case):
    torch.testing.assert_close(
        train_steps(case, 2, sizes=[5] * 4),
        train_steps(case, 8, sizes=[5] * 4),
        rtol=1e-4,
        atol=2e-6,
    )


def one_graph(model, objective, state, data, share, places):
    """What the two passes must equal: all micro-batches in one graph, over the same masks."""
    graphs = []
    for part in share:
        torch.manual_seed(part.seed)
        graphs.append(model(part.batch))
    _, labels, groups, recorded = data
    hidden = torch.cat([g.hidden for g in graphs])
    name = "losses" if model.gives == "texts" else "logits"
    found = {"logits": None, name: torch.cat([getattr(g, name) for g in graphs])}
    scores = Scores(labels=labels, groups=groups, recorded=recorded, hidden=hidden, **found)
    output = objective(scores, state, places)
    output.loss.backward()
    return output, found


@pytest.mark.parametrize("statistics", STATISTICS)
@pytest.mark.parametrize("case", CASES, ids=str)
def test_with_dropout_two_passes_equal_one_graph_over_the_same_masks(case, statistics):
    data = step_data(0, 7)
    results = []
    for gradient in (gradients_of, one_graph):
        model, objective = network_of(case, 0.5), objective_of(*case[:2], statistics)
        state = objective.initial_state(torch.device("cpu"))
        output, outputs = gradient(model, objective, state, data, *cut(data[0], 0, 2))
        gradients = [p.grad for p in all_parameters(model, objective)]
        results.append((output, outputs, gradients))
    (ours, our_outputs, our_gradients), (graph, outputs, gradients) = results
    assert ours.loss.item() == pytest.approx(graph.loss.item(), rel=1e-6)
    for name in our_outputs.keys() & outputs.keys():
        torch.testing.assert_close(our_outputs[name], outputs[name].detach())
    assert ours.terms.keys() == graph.terms.keys()
    assert ours.state.keys() == graph.state.keys()
    for key in ours.state:
        torch.testing.assert_close(ours.state[key], graph.state[key].detach())
    for first, second in zip(our_gradients, gradients, strict=True):
        torch.testing.assert_close(first, second, rtol=1e-4, atol=1e-6)


def test_summed_micro_batch_penalties_would_be_something_else():
    """The reason for all this: the sum of micro-batch penalties is another gradient."""
    data = step_data(0)
    gradients = []
    for statistics in ("effective_batch", "micro_batch"):
        model = Network(0.0)
        objective = build_objective("fr", COUNTS, gap_weight=5.0, statistics=statistics)
        gradients_of(model, objective, {}, data, *cut(data[0], 0, 2))
        gradients.append(model.head.weight.grad)
    assert (gradients[0] - gradients[1]).abs().max() > 1e-3


@pytest.mark.parametrize("statistics", STATISTICS)
@pytest.mark.parametrize("case", CASES, ids=str)
def test_two_shares_sum_to_the_whole(case, statistics):
    """Two processes, played one after the other: every gathered tensor is the sum of their parts."""
    data = step_data(0)
    model, objective = network_of(case, 0.5), objective_of(*case[:2], statistics)
    state = objective.initial_state(torch.device("cpu"))
    share, places = cut(data[0], 0, 2)

    def run(own, gather):
        for parameter in all_parameters(model, objective):
            parameter.grad = None
        gradients_of(model, objective, state, data, own, places, gather)
        found = [p.grad for p in all_parameters(model, objective)]
        return [torch.zeros(1) if g is None else g for g in found]

    whole = run(share, alone)
    halves, seen = [share[0::2], share[1::2]], [[], []]
    for half, messages in zip(halves, seen, strict=True):
        run(half, lambda t, messages=messages: messages.append(t.detach().clone()) or t)
    gradients = []
    for half in halves:
        totals = iter([first + second for first, second in zip(*seen, strict=True)])
        gradients.append(run(half, lambda t, totals=totals: next(totals)))
    model_count = len(list(model.parameters()))
    for place, (first, second, expected) in enumerate(zip(*gradients, whole, strict=True)):
        # The objective's own parameters have their whole gradient on every process.
        total = first + second if place < model_count else first
        torch.testing.assert_close(total, expected, rtol=1e-4, atol=1e-6)
        if place >= model_count:
            assert torch.equal(first, second)


@pytest.fixture(scope="module")
def two_processes(tmp_path_factory):
    """Parameters of every case after four steps over two real processes: torchrun, accelerate, gloo."""
    path = tmp_path_factory.mktemp("two") / "found.safetensors"
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    done = subprocess.run(
        [*launcher, "--nproc_per_node", "2", "-m", "tests.two_processes", str(path), "2"],
        cwd=REPOSITORY,
        env={**os.environ, "ACCELERATE_USE_CPU": "true", "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return load_file(path)


@pytest.mark.parametrize("statistics", STATISTICS)
@pytest.mark.parametrize("case", CASES, ids=str)
def test_two_real_processes_give_the_same_parameters(case, statistics, two_processes):
    """Micro-batch statistics depend on the cut, so one process takes micro-batches of 4 as well."""
    sizes = [8, 8, 8, 5]
    size = 4 if statistics == "micro_batch" else 8
    expected = train_steps(case, size, statistics, sizes=sizes)
    torch.testing.assert_close(
        two_processes[f"{case}/{statistics}"], expected, rtol=1e-4, atol=2e-6
    )


def test_a_process_without_a_share_contributes_zeros():
    model = Network(0.0)
    sum_gradients(list(model.parameters()), alone)
    assert all((p.grad == 0).all() for p in model.parameters())


def test_mask_seeds_differ_and_repeat():
    seeds = {mask_seed(s, t, j) for s in range(3) for t in range(5) for j in range(4)}
    assert len(seeds) == 60
    assert mask_seed(1, 2, 3) == mask_seed(1, 2, 3)
    assert all(0 <= s < 2**63 for s in seeds)
    assert isinstance(np.int64(max(seeds)), np.int64)
