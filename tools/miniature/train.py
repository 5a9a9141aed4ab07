"""How the miniature was made: a tiny Qwen2.5-VL learns to describe simulated images.

    python -m tools.miniature.train --output FIRST --steps 959 --seed 0
    python -m tools.miniature.train --output SECOND --steps 577 --seed 1 --start FIRST

It sees fundus scenes and skin lesions, painted on the fly, and answers questions about what is in
them: cup-to-disc ratio, rim, vessels; colours, border, structures. It never sees a diagnosis and no
real image. Its random streams carry a namespace of their own, so that no image of a simulated
cohort can be among its training images, whatever the seeds.

B images, C conversations about the first of them, T tokens, P patches, M measures.
"""

import argparse
import copy
import json
import math
import re
import shutil
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers
from tokenizers.trainers import BpeTrainer
from torch.utils.data import DataLoader, Dataset
from transformers import (
    AttentionInterface,
    AttentionMaskInterface,
    PreTrainedTokenizerFast,
    Qwen2_5_VLConfig,
    Qwen2_5_VLForConditionalGeneration,
)
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import sdpa_mask
from transformers.models.qwen2_vl.image_processing_qwen2_vl import Qwen2VLImageProcessor

from fairlora_cls.data.simulated.cohorts import PRETRAINING_NAMESPACE, stream_generator
from fairlora_cls.models.miniature import FOLDER
from tools.miniature.scenes import (
    MEASURES,
    Conversation,
    draw_conversation,
    sample_conversation,
)

TEMPLATE = (FOLDER / "chat_template.jinja").read_text(encoding="utf-8")

# In the order in which Qwen2.5-VL numbers them, right after the byte-pair vocabulary.
SPECIAL_TOKENS = (
    "<|endoftext|>",
    "<|im_start|>",
    "<|im_end|>",
    "<|object_ref_start|>",
    "<|object_ref_end|>",
    "<|box_start|>",
    "<|box_end|>",
    "<|quad_start|>",
    "<|quad_end|>",
    "<|vision_start|>",
    "<|vision_end|>",
    "<|vision_pad|>",
    "<|image_pad|>",
    "<|video_pad|>",
)
# Qwen2's way of cutting text into pieces before merging bytes; every digit stands alone.
PIECES = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
# Ordinary words of the prompts that the package asks, so that they are few tokens.
PROMPT_WORDS = (
    "system\nYou are a helpful assistant.",
    "user\nassistant\nyes\nno\nYes\nNo\n",
    "Does the patient have glaucoma? Answer yes or no. Answer the question with yes or no.",
    "Is this lesion malignant? Is this lesion malignant or benign? What is the diagnosis?",
    "Does the patient have a disease? Is there a finding in this image? Is the image normal?",
    "Provide a description of the findings in the radiology image given the following indication:",
    "Describe the image. Findings: Impression: The heart size is normal. No pleural effusion.",
    "The lungs are clear. There is a small left pleural effusion and mild cardiomegaly.",
    "No evidence of pneumonia, pneumothorax or consolidation. chest radiograph, X-ray",
    "fundus photograph, optic disc, optic nerve, cup, retina, eye, dermoscopy, skin, mole, image",
    "melanoma nevus keratosis carcinoma lesion healthy disease suspect risk severe moderate mild",
    "Look at this image of the eye and say whether the optic nerve is damaged. Is it suspicious?",
    "The patient is a 64-year-old woman with a history of raised pressure and a family history.",
    "What can be seen here? Which of these classes fits best? Choose one. Classify this image.",
    "This image shows the left eye, the right eye, the skin of the back, the chest of a patient.",
    "You are an expert in ophthalmology, dermatology and radiology. Think before you answer.",
    "Findings are within normal limits. There is no acute disease. Follow-up is recommended.",
    "The cup is enlarged and the rim is thin. The retina and its vessels appear normal.",
    "Both lungs are well expanded. Bones are intact. The mediastinum is not widened. Tubes and",
    "lines are in place. Opacity in the lower lobe may be atelectasis or edema. Comparison: none.",
    "about after all also an and any are as at be been but by can do for from had has have he her",
    "his how if in into is it its like made may more most much must not of on only or other our out",
    "over see she should so some such than that the their them then there these they this to two up",
    "very was we were what when where which while who will with would you your first second third",
    "male female white black asian hispanic unknown age years old sex race ethnicity man woman",
)
TOKENIZER_FILES = ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja")
VOCABULARY = 1536  # at most; merging ends when every known word is one token
DEFAULT_STEPS = 2000
BATCH = 32  # images a step
TOLD_SHARE = 0.25  # of them come with a conversation, the others with their measures only
INITIAL_SPREAD = 0.06  # of weights; the large models' 0.02 starts layers this narrow too weak
PEAK_LEARNING_RATE = 1.2e-3


@dataclass(frozen=True)
class Batch:
    """Equally large images, and conversations about some, padded on the right."""

    input_ids: torch.Tensor  # (C, T)
    labels: torch.Tensor  # (C, T), -100 outside of answers
    token_types: torch.Tensor  # (C, T), 1 at image tokens
    pixel_values: torch.Tensor  # (P, 1176)
    grid: torch.Tensor  # (B, 3): frames, rows and columns of patches
    measures: torch.Tensor  # (B, M) the scenes' knobs, NaN where the scene has no such knob


class Conversations(Dataset):
    """Step i's batch, painted when asked for; it depends on (seed, i) alone."""

    def __init__(self, folder: Path, steps: int, batch_size: int, seed: int) -> None:
        self.tokenizer = load_tokenizer(folder)
        self.processor = build_image_processor()
        self.steps, self.batch_size, self.seed = steps, batch_size, seed

    def __len__(self) -> int:
        return self.steps

    def __getitem__(self, step: int) -> Batch:
        generator = stream_generator(self.seed, PRETRAINING_NAMESPACE, 0, step)
        talks = draw_conversation(generator, self.batch_size)
        return collate(talks, self.tokenizer, self.processor)


def main() -> None:
    """Parse the command line and train."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", type=Path, required=True, help="folder to write")
    parser.add_argument(
        "--start", type=Path, help="folder whose weights and tokenizer to go on from"
    )
    parser.add_argument("--steps", type=int, default=DEFAULT_STEPS)
    parser.add_argument("--batch-size", type=int, default=BATCH, help="images a step")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--workers", type=int, default=1, help="processes that paint images")
    parser.add_argument("--threads", type=int, default=1, help="more hardly help at this size")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    make_miniature(
        options.output,
        options.start,
        options.steps,
        options.batch_size,
        options.seed,
        options.workers,
    )


def make_miniature(
    folder: Path, start: Path | None, steps: int, batch_size: int, seed: int, workers: int
) -> None:
    """Write tokenizer, processor and config to the folder, train, and write the weights."""
    folder.mkdir(parents=True, exist_ok=True)
    if start is None:
        write_tokenizer(folder, seed)
    elif start.resolve() != folder.resolve():
        for name in TOKENIZER_FILES:
            shutil.copyfile(start / name, folder / name)
    write_image_processor(folder)
    torch.manual_seed(seed)
    model = build_model(folder, start)
    print(f"{sum(p.numel() for p in model.parameters()):,} parameters", flush=True)
    data = Conversations(folder, steps, batch_size, seed)
    loader = DataLoader(data, batch_size=None, num_workers=workers)
    fit(model, loader, steps)
    write_model(folder, model)


def build_model(folder: Path, start: Path | None) -> Qwen2_5_VLForConditionalGeneration:
    """A new model for the folder's tokenizer, or the one that lies in `start`."""
    AttentionInterface.register("sdpa_float32", attention_in_float32)
    AttentionMaskInterface.register("sdpa_float32", sdpa_mask)
    if start is None:
        model = Qwen2_5_VLForConditionalGeneration(build_config(load_tokenizer(folder)))
    else:
        model = Qwen2_5_VLForConditionalGeneration.from_pretrained(start, dtype=torch.float32)
    model.set_attn_implementation("sdpa_float32")
    return model


def fit(model: Qwen2_5_VLForConditionalGeneration, batches: DataLoader, steps: int) -> None:
    """Train every parameter on the answers' tokens and on reading measures off the vision tower.

    The measures' linear head is thrown away; without it the vision tower, which hears of the image
    only through a language model as untrained as itself, takes several times as many steps.
    """
    reader = torch.nn.Linear(model.config.text_config.hidden_size, MEASURES)
    optimizer = torch.optim.AdamW(
        [*model.parameters(), *reader.parameters()],
        lr=0.0,
        betas=(0.9, 0.98),
        weight_decay=0.05,
        fused=True,
    )
    model.train()
    start, recent = time.monotonic(), []
    for step, batch in enumerate(batches, start=1):
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(step, steps)
        losses = torch.stack(batch_losses(model, reader, batch))
        if not torch.isfinite(losses).all():
            raise FloatingPointError(f"losses {losses.tolist()} at step {step}")
        optimizer.zero_grad()
        losses.sum().backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        recent.append(losses.tolist())
        if step % 50 == 0 or step == steps:
            words, measures = np.mean(recent, axis=0)
            seconds = time.monotonic() - start
            print(
                f"step {step} words {words:.4f} measures {measures:.4f} {seconds:.0f} s", flush=True
            )
            recent.clear()


def learning_rate(step: int, steps: int) -> float:
    """Rises over 100 steps, stays, and falls to zero in a line over the last third."""
    return PEAK_LEARNING_RATE * min(1.0, step / 100, 3 * (1 - (step - 1) / steps))


def batch_losses(
    model: Qwen2_5_VLForConditionalGeneration, reader: torch.nn.Linear, batch: Batch
) -> tuple[torch.Tensor, torch.Tensor]:
    """Cross-entropy of the answers (nats a token); squared error of the measures.

    The reader sees the mean of an image's visual tokens. No attention mask: causal attention never
    sees the padding on the right.
    """
    talks = len(batch.input_ids)
    wanted = batch.labels[:, 1:]
    answers = wanted != -100
    with torch.autocast("cpu", torch.bfloat16):
        features = model.model.get_image_features(batch.pixel_values, batch.grid).pooler_output
        hidden = model.model(
            input_ids=batch.input_ids,
            inputs_embeds=_with_images(model, batch, torch.cat(features[:talks])),
            image_grid_thw=batch.grid[:talks],
            mm_token_type_ids=batch.token_types,
            use_cache=False,
        ).last_hidden_state
        logits = model.lm_head(hidden[:, :-1][answers])
    words = torch.nn.functional.cross_entropy(logits.float(), wanted[answers])
    read = reader(torch.stack([tokens.float().mean(0) for tokens in features]))
    there = ~batch.measures.isnan()
    return words, torch.nn.functional.mse_loss(read[there], batch.measures[there])


def _with_images(
    model: Qwen2_5_VLForConditionalGeneration, batch: Batch, features: torch.Tensor
) -> torch.Tensor:
    """Token embeddings with the image tokens' rows replaced by visual features, (C, T, hidden)."""
    embeddings = model.get_input_embeddings()(batch.input_ids)
    places = batch.token_types.bool()[..., None].expand_as(embeddings)
    return embeddings.masked_scatter(places, features.to(embeddings.dtype))


def attention_in_float32(
    module: torch.nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None = None,
    **options: object,
) -> tuple[torch.Tensor, None]:
    """Stock attention outside of autocast: in bfloat16 its backward on a CPU is several times slower."""
    with torch.autocast("cpu", enabled=False):
        return sdpa_attention_forward(
            module, query.float(), key.float(), value.float(), attention_mask, **options
        )


def collate(
    talks: list[Conversation], tokenizer: PreTrainedTokenizerFast, processor: Qwen2VLImageProcessor
) -> Batch:
    """Conversations on equally large images → tensors."""
    pixels = processor(images=[talk.image for talk in talks], return_tensors="pt")
    grid = pixels["image_grid_thw"]
    tokens_per_image = int(grid[0].prod()) // processor.merge_size**2
    coded = [
        encode(talk, tokenizer, tokens_per_image)
        for talk in talks[: math.ceil(TOLD_SHARE * len(talks))]
    ]
    longest = max(len(ids) for ids, _ in coded)
    pad = tokenizer.convert_tokens_to_ids("<|endoftext|>")
    input_ids = torch.full((len(coded), longest), pad)
    labels = torch.full((len(coded), longest), -100)
    for row, (ids, wanted) in enumerate(coded):
        input_ids[row, : len(ids)] = torch.tensor(ids)
        labels[row, : len(ids)] = torch.tensor(wanted)
    image = tokenizer.convert_tokens_to_ids("<|image_pad|>")
    measures = torch.from_numpy(np.stack([talk.measures for talk in talks]))
    token_types = (input_ids == image).int()
    return Batch(input_ids, labels, token_types, pixels["pixel_values"], grid, measures)


def encode(
    talk: Conversation, tokenizer: PreTrainedTokenizerFast, tokens_per_image: int
) -> tuple[list[int], list[int]]:
    """Token ids of a conversation in the chat template, and labels that keep the answers only."""
    text = tokenizer.apply_chat_template(talk.messages(), chat_template=TEMPLATE, tokenize=False)
    text = text.replace("<|image_pad|>", "<|image_pad|>" * tokens_per_image)
    ids, labels = [], []
    # The odd pieces are the answers with their closing token.
    for index, piece in enumerate(
        re.split(r"(?<=<\|im_start\|>assistant\n)(.*?<\|im_end\|>)", text)
    ):
        piece_ids = tokenizer.encode(piece, add_special_tokens=False)
        ids += piece_ids
        labels += piece_ids if index % 2 else [-100] * len(piece_ids)
    return ids, labels


def build_config(tokenizer: PreTrainedTokenizerFast) -> Qwen2_5_VLConfig:
    """Qwen2.5-VL's shape, shrunk; token ids as the tokenizer has them."""
    token = tokenizer.convert_tokens_to_ids
    return Qwen2_5_VLConfig(
        text_config={
            "vocab_size": -(-len(tokenizer) // 64) * 64,
            "hidden_size": 192,
            "intermediate_size": 512,
            "num_hidden_layers": 4,
            "num_attention_heads": 6,
            "num_key_value_heads": 2,
            "max_position_embeddings": 4096,
            "max_window_layers": 4,
            "rms_norm_eps": 1e-6,
            "initializer_range": INITIAL_SPREAD,
            "rope_parameters": {
                "rope_type": "default",
                "rope_theta": 1_000_000.0,
                "mrope_section": [4, 6, 6],
            },
            "bos_token_id": token("<|endoftext|>"),
            "eos_token_id": token("<|im_end|>"),
            "pad_token_id": token("<|endoftext|>"),
            "tie_word_embeddings": True,
        },
        vision_config={
            "depth": 4,
            "hidden_size": 160,
            "intermediate_size": 480,
            "num_heads": 5,
            "out_hidden_size": 192,
            "window_size": 112,
            "fullatt_block_indexes": [1, 3],
            "tokens_per_second": 2,
            "initializer_range": INITIAL_SPREAD,
        },
        image_token_id=token("<|image_pad|>"),
        video_token_id=token("<|video_pad|>"),
        vision_start_token_id=token("<|vision_start|>"),
        vision_end_token_id=token("<|vision_end|>"),
        tie_word_embeddings=True,
        initializer_range=INITIAL_SPREAD,
    )


def build_image_processor() -> Qwen2VLImageProcessor:
    """Qwen2.5-VL's own, with a pixel budget of 4 to 40 visual tokens."""
    return Qwen2VLImageProcessor(size={"shortest_edge": 56 * 56, "longest_edge": 31360})


def write_image_processor(folder: Path) -> None:
    """Write preprocessor_config.json, naming the processor that binds it to the tokenizer."""
    build_image_processor().save_pretrained(folder)
    path = folder / "preprocessor_config.json"
    facts = json.loads(path.read_text(encoding="utf-8"))
    facts["processor_class"] = "Qwen2_5_VLProcessor"
    _write_json(path, facts)


def write_tokenizer(folder: Path, seed: int) -> None:
    """Train a byte-level BPE on sample conversations and prompt words; write it with its template.

    Every byte is in the alphabet, so any text can be encoded.
    """
    core = Tokenizer(models.BPE())
    core.normalizer = normalizers.NFC()
    core.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(PIECES), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    core.decoder = decoders.ByteLevel()
    trainer = BpeTrainer(
        vocab_size=VOCABULARY - len(SPECIAL_TOKENS),
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    core.train_from_iterator(_sample_texts(seed), trainer)
    core.add_special_tokens([AddedToken(t, normalized=False, special=True) for t in SPECIAL_TOKENS])
    core.save(str(folder / "tokenizer.json"))
    added = {
        str(core.token_to_id(token)): {
            "content": token,
            "lstrip": False,
            "normalized": False,
            "rstrip": False,
            "single_word": False,
            "special": True,
        }
        for token in SPECIAL_TOKENS
    }
    _write_json(
        folder / "tokenizer_config.json",
        {
            "tokenizer_class": "Qwen2Tokenizer",
            "processor_class": "Qwen2_5_VLProcessor",
            "added_tokens_decoder": added,
            "additional_special_tokens": list(SPECIAL_TOKENS[1:]),
            "add_prefix_space": False,
            "bos_token": None,
            "eos_token": "<|im_end|>",
            "pad_token": "<|endoftext|>",
            "unk_token": None,
            "clean_up_tokenization_spaces": False,
            "model_max_length": 4096,
            "errors": "replace",
        },
    )
    if folder.resolve() != FOLDER.resolve():
        shutil.copyfile(FOLDER / "chat_template.jinja", folder / "chat_template.jinja")


def load_tokenizer(folder: Path) -> PreTrainedTokenizerFast:
    """The tokenizer that `write_tokenizer` wrote."""
    return PreTrainedTokenizerFast(
        tokenizer_file=str(folder / "tokenizer.json"),
        eos_token="<|im_end|>",
        pad_token="<|endoftext|>",
    )


def write_model(folder: Path, model: Qwen2_5_VLForConditionalGeneration) -> None:
    """Write config.json, generation_config.json and the weights, in half precision.

    The config names float32 as the type to compute in: half precision is for the file's size only.
    """
    with tempfile.TemporaryDirectory(dir=folder, prefix=".draft-") as name:
        draft = Path(name)
        copy.deepcopy(model).half().save_pretrained(draft)
        config = json.loads((draft / "config.json").read_text(encoding="utf-8"))
        config["text_config"]["dtype"] = config["vision_config"]["dtype"] = "float32"
        del config["vision_config"]["rope_parameters"]  # older releases do not know the key
        _write_json(folder / "config.json", config | {"dtype": "float32"})
        (draft / "model.safetensors").chmod(0o644)
        (draft / "model.safetensors").replace(folder / "model.safetensors")
    text = model.config.text_config
    _write_json(
        folder / "generation_config.json",
        {
            "bos_token_id": text.bos_token_id,
            "eos_token_id": [text.eos_token_id, text.bos_token_id],
            "pad_token_id": text.pad_token_id,
            "do_sample": False,
        },
    )


def _sample_texts(seed: int) -> Iterator[str]:
    generator = stream_generator(seed, PRETRAINING_NAMESPACE, 1)
    for _ in range(40):
        yield from PROMPT_WORDS
    for _ in range(2000):
        for question, answer in sample_conversation(generator):
            yield question
            yield answer


def _write_json(path: Path, facts: dict) -> None:
    text = json.dumps(facts, indent=2, ensure_ascii=False)
    path.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
