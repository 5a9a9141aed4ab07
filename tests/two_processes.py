"""Run under torchrun by test_effective_batch: every case over real processes, 4 examples each.

Writes the parameters and the objective's memory of each case, as process 0 has them.
"""

import sys

import torch
from accelerate import Accelerator
from safetensors.torch import save_file

from fairlora_cls.training.effective_batch import sum_gradients
from tests import test_effective_batch as single


def train_steps(case, statistics, accelerator, steps=4):
    model = single.network_of(case)
    objective = single.objective_of(*case[:2], statistics)
    state = objective.initial_state(accelerator.device)
    parameters = single.all_parameters(model, objective)
    optimizer = torch.optim.AdamW(parameters, lr=1e-2)
    gather = lambda tensor: accelerator.reduce(tensor, "sum")  # noqa: E731
    for step in range(steps):
        data = single.step_data(step, 8 if step < steps - 1 else 5)  # an uneven last batch
        share, places = single.cut(data[0], step, 4)
        own = share[accelerator.process_index :: accelerator.num_processes]
        output, _ = single.gradients_of(model, objective, state, data, own, places, gather)
        sum_gradients(list(model.parameters()), gather)
        state = output.state
        optimizer.step()
        optimizer.zero_grad()
    return torch.cat([t.detach().reshape(-1) for t in [*parameters, *state.values()]])


def main(path):
    accelerator = Accelerator(cpu=True)
    assert accelerator.num_processes == int(sys.argv[2])
    found = {
        f"{case}/{statistics}": train_steps(case, statistics, accelerator)
        for case in single.CASES
        for statistics in single.STATISTICS
    }
    if accelerator.is_main_process:
        save_file(found, path)
    accelerator.end_training()


if __name__ == "__main__":
    main(sys.argv[1])
