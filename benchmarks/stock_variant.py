"""Variant (a): what a careful user writes with transformers, PEFT and `Trainer` alone.

The model is the stock forward with pixels, so the frozen vision tower runs in every step; a
dataset opens each image and the processor turns it into patches, in every epoch. Everything that
good code would do is done: positions from `mm_token_type_ids`, no key-value cache, no language
head, a float32 head on the last real token, fused AdamW, no read-back of the loss in a step.

B examples, T tokens, D hidden size, K classes.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from measuring import ModuleTimer, Run, memory_peak, synchronise
from qwen_vl_utils import fetch_image
from torch import nn
from torch.utils.data import DataLoader, Dataset
from workload import Workload


class StockClassifier(nn.Module):
    """PEFT model and linear head → loss and logits, as `Trainer` wants them."""

    def __init__(self, network: nn.Module, head: nn.Module):
        super().__init__()
        self.network = network
        self.head = head
        self.losses: list[torch.Tensor] = []  # of every micro-batch, left on the device

    def forward(
        self,
        input_ids: torch.Tensor,
        attention_mask: torch.Tensor,
        mm_token_type_ids: torch.Tensor,
        pixel_values: torch.Tensor,
        image_grid_thw: torch.Tensor,
        labels: torch.Tensor,
    ) -> dict[str, torch.Tensor]:
        hidden = self.network(
            input_ids=input_ids,
            attention_mask=attention_mask,
            mm_token_type_ids=mm_token_type_ids,
            pixel_values=pixel_values,
            image_grid_thw=image_grid_thw,
            use_cache=False,
        ).last_hidden_state
        places = torch.arange(input_ids.shape[1], device=input_ids.device)
        last = (attention_mask * places).argmax(dim=1)  # whichever side the padding is on
        pooled = hidden[torch.arange(len(hidden), device=hidden.device), last]
        with torch.autocast(pooled.device.type, enabled=False):
            logits = self.head(pooled.float())
        loss = nn.functional.cross_entropy(logits, labels)
        self.losses.append(loss.detach())
        return {"loss": loss, "logits": logits}


class ImageDataset(Dataset):
    """Opens and resizes an image whenever it is asked for."""

    def __init__(self, paths: Sequence[Path], labels: Sequence[int], budget: tuple[int, int]):
        self.paths = paths
        self.labels = labels
        self.budget = budget  # px², least and most
        self.seconds = 0.0  # spent here, in this process

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> tuple[Any, int]:
        started = time.perf_counter()
        least, most = self.budget
        request = {"image": str(self.paths[index]), "min_pixels": least, "max_pixels": most}
        item = fetch_image(request), self.labels[index]
        self.seconds += time.perf_counter() - started
        return item


class ProcessorCollator:
    """Images and the prompt through the processor, padded as it does it."""

    def __init__(self, processor: Any, question: str):
        content = [{"type": "image"}, {"type": "text", "text": question}]
        self.text = processor.apply_chat_template(
            [{"role": "user", "content": content}], tokenize=False, add_generation_prompt=True
        )
        self.processor = processor
        self.seconds = 0.0

    def __call__(self, items: Sequence[tuple[Any, int]]) -> Mapping[str, torch.Tensor]:
        started = time.perf_counter()
        batch = dict(
            self.processor(
                text=[self.text] * len(items),
                images=[image for image, _ in items],
                do_resize=False,  # the dataset has resized, by the same rule
                padding=True,
                return_mm_token_type_ids=True,
                return_tensors="pt",
            )
        )
        batch["labels"] = torch.tensor([label for _, label in items])
        self.seconds += time.perf_counter() - started
        return batch


def run_stock(
    classifier: Any, workload: Workload, workers: int, device: torch.device, folder: Path
) -> Run:
    """Train `classifier`'s trainable parameters in place with `Trainer`; the time is `train()`'s."""
    from transformers import PrinterCallback, Trainer, TrainingArguments

    class OrderedTrainer(Trainer):
        """Reads the dataset in its own order, so that all variants see the same steps."""

        def get_train_dataloader(self) -> DataLoader:
            loader = DataLoader(
                self.train_dataset,
                batch_size=self.args.per_device_train_batch_size,
                collate_fn=self.data_collator,
                num_workers=workers,
                pin_memory=device.type == "cuda",
            )
            return self.accelerator.prepare(loader)

    backbone = classifier.backbone
    order = workload.order()
    dataset = ImageDataset(
        [workload.examples[i].image for i in order],
        [workload.examples[i].label for i in order],
        (backbone.minimum_pixels, backbone.maximum_pixels),
    )
    collator = ProcessorCollator(backbone.processor, workload.question)
    model = StockClassifier(classifier.network, classifier.head)
    optimizer = torch.optim.AdamW(
        [
            {
                "params": [p for p in model.network.parameters() if p.requires_grad],
                "lr": workload.learning_rate,
            },
            {"params": list(model.head.parameters()), "lr": workload.head_learning_rate},
        ],
        weight_decay=workload.weight_decay,
        fused=True,
    )
    trainer = OrderedTrainer(
        model=model,
        args=TrainingArguments(
            output_dir=str(folder),
            per_device_train_batch_size=workload.micro_batch_size,
            gradient_accumulation_steps=workload.batch_size // workload.micro_batch_size,
            num_train_epochs=1,  # the dataset holds all epochs in their order
            max_grad_norm=workload.gradient_clip,
            bf16=workload.precision == "bf16",
            use_cpu=device.type == "cpu",
            save_strategy="no",
            logging_strategy="no",
            logging_nan_inf_filter=False,
            report_to="none",
            disable_tqdm=True,
            remove_unused_columns=False,
            seed=workload.seed,
        ),
        data_collator=collator,
        train_dataset=dataset,
        optimizers=(optimizer, torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 1.0)),
    )
    trainer.remove_callback(PrinterCallback)
    tower = ModuleTimer(backbone.model.visual, device)
    with memory_peak(device) as memory:
        started = time.perf_counter()
        trainer.train()
        synchronise(device)
        seconds = time.perf_counter() - started
    tower.remove()
    micro = torch.stack(model.losses).view(len(order) // workload.batch_size, -1)
    return Run(
        seconds=seconds,
        vision_seconds=tower.seconds(),
        image_seconds=dataset.seconds + collator.seconds if workers == 0 else None,
        memory=memory.bytes,
        losses=micro.mean(dim=1).tolist(),
    )
