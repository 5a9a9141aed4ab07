"""Small models of every architecture with random weights, saved as their makers save the large ones.

Real configurations, classes, processors and chat templates; only widths, depths and vocabulary are
small, and the windows are so small that they matter.
"""

from pathlib import Path

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors
from tokenizers.trainers import BpeTrainer
from transformers import (
    CLIPImageProcessor,
    CLIPVisionConfig,
    Gemma3Config,
    Gemma3ForConditionalGeneration,
    Gemma3ImageProcessor,
    Gemma3Processor,
    Gemma3TextConfig,
    LlamaConfig,
    LlavaConfig,
    LlavaForConditionalGeneration,
    LlavaProcessor,
    PreTrainedTokenizerFast,
    Qwen2_5_VLConfig,
    Qwen2_5_VLForConditionalGeneration,
    Qwen2_5_VLProcessor,
    Qwen2VLImageProcessor,
    Qwen3VLConfig,
    Qwen3VLForConditionalGeneration,
    Qwen3VLProcessor,
    Qwen3VLVideoProcessor,
    SiglipVisionConfig,
)

from fairlora_cls.models import miniature

WORDS = (
    "Does the patient have glaucoma? Answer yes or no. What is the diagnosis? Findings: Impression: "
    "The heart size is normal. No pleural effusion. The lungs are clear. user model assistant USER: "
    "ASSISTANT: melanoma nevus keratosis carcinoma lesion male female yes no"
)
TEXT = {
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 4,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 512,
}
VISION = {"hidden_size": 32, "intermediate_size": 40, "num_attention_heads": 2}

# As llava-hf/llava-1.5-7b-hf has it: the tokenizer begins the text, images come first.
LLAVA_TEMPLATE = (
    "{% for message in messages %}{% if message['role'] != 'system' %}"
    "{{ message['role'].upper() + ': ' }}{% endif %}"
    "{% for content in message['content'] | selectattr('type', 'equalto', 'image') %}"
    "{{ '<image>\n' }}{% endfor %}"
    "{% for content in message['content'] | selectattr('type', 'equalto', 'text') %}"
    "{{ content['text'] + ' ' }}{% endfor %}{% endfor %}"
    "{% if add_generation_prompt %}{{ 'ASSISTANT:' }}{% endif %}"
)
# As google/gemma-3-4b-it has it: the template begins the text, answers are of the role `model`.
GEMMA_TEMPLATE = (
    "{{ bos_token }}{% for message in messages %}"
    "{{ '<start_of_turn>' + ('model' if message['role'] == 'assistant' else message['role']) + '\n' }}"
    "{% if message['content'] is string %}{{ message['content'] | trim }}{% else %}"
    "{% for item in message['content'] %}"
    "{% if item['type'] == 'image' %}{{ '<start_of_image>' }}"
    "{% else %}{{ item['text'] | trim }}{% endif %}{% endfor %}{% endif %}"
    "{{ '<end_of_turn>\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<start_of_turn>model\n' }}{% endif %}"
)


def build_tokenizer(special: list[str], beginning: str, **names) -> PreTrainedTokenizerFast:
    """Byte pairs of WORDS; every text begins with `beginning`."""
    found = Tokenizer(models.BPE())
    found.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    found.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    found.train_from_iterator(
        [WORDS],
        BpeTrainer(
            vocab_size=400,
            special_tokens=special,
            initial_alphabet=sorted(alphabet),
            show_progress=False,
        ),
    )
    found.post_processor = processors.TemplateProcessing(
        single=f"{beginning} $A", special_tokens=[(beginning, found.token_to_id(beginning))]
    )
    return PreTrainedTokenizerFast(tokenizer_object=found, bos_token=beginning, **names)


def qwen_tokenizer() -> PreTrainedTokenizerFast:
    return Qwen2_5_VLProcessor.from_pretrained(miniature.FOLDER).tokenizer


def qwen_ids(tokenizer) -> dict:
    token = tokenizer.convert_tokens_to_ids
    return {
        "image_token_id": token("<|image_pad|>"),
        "video_token_id": token("<|video_pad|>"),
        "vision_start_token_id": token("<|vision_start|>"),
        "vision_end_token_id": token("<|vision_end|>"),
    }


def qwen_text(tokenizer, **rope) -> dict:
    rope = {"rope_type": "default", "rope_theta": 1e4, "mrope_section": [1, 1, 2], **rope}
    return {
        **TEXT,
        "vocab_size": len(tokenizer) + 8,
        "rope_parameters": rope,
        "eos_token_id": tokenizer.eos_token_id,
        "pad_token_id": tokenizer.pad_token_id,
        "bos_token_id": tokenizer.pad_token_id,
    }


def build_qwen2_5_vl():
    processor = Qwen2_5_VLProcessor.from_pretrained(miniature.FOLDER)
    config = Qwen2_5_VLConfig(
        text_config=qwen_text(processor.tokenizer),
        vision_config={
            "hidden_size": 32,
            "intermediate_size": 40,
            "num_heads": 2,
            "depth": 3,
            "fullatt_block_indexes": [1],
            "window_size": 56,  # 2 × 2 visual tokens
            "out_hidden_size": TEXT["hidden_size"],
        },
        tie_word_embeddings=False,
        **qwen_ids(processor.tokenizer),
    )
    return Qwen2_5_VLForConditionalGeneration(config), processor


def build_qwen3_vl():
    tokenizer = qwen_tokenizer()
    config = Qwen3VLConfig(
        text_config={**qwen_text(tokenizer, mrope_interleaved=True), "head_dim": 8},
        vision_config={
            "hidden_size": 32,
            "intermediate_size": 40,
            "num_heads": 2,
            "depth": 4,
            "deepstack_visual_indexes": [0, 2],
            "num_position_embeddings": 64,
            "out_hidden_size": TEXT["hidden_size"],
        },
        tie_word_embeddings=False,
        **qwen_ids(tokenizer),
    )
    images = Qwen2VLImageProcessor(patch_size=16, merge_size=2)
    template = (miniature.FOLDER / "chat_template.jinja").read_text(encoding="utf-8")
    processor = Qwen3VLProcessor(images, tokenizer, Qwen3VLVideoProcessor(), chat_template=template)
    return Qwen3VLForConditionalGeneration(config), processor


def build_llava():
    tokenizer = build_tokenizer(
        ["<unk>", "<s>", "</s>", "<image>", "<pad>"],
        "<s>",
        eos_token="</s>",
        unk_token="<unk>",
        pad_token="<pad>",
    )
    config = LlavaConfig(
        vision_config=CLIPVisionConfig(
            **VISION, num_hidden_layers=3, image_size=56, patch_size=14, projection_dim=16
        ),
        text_config=LlamaConfig(**TEXT, vocab_size=len(tokenizer) + 8),
        image_token_index=tokenizer.convert_tokens_to_ids("<image>"),
        image_seq_length=16,
    )
    images = CLIPImageProcessor(size={"shortest_edge": 56}, crop_size={"height": 56, "width": 56})
    processor = LlavaProcessor(
        images,
        tokenizer,
        patch_size=14,
        vision_feature_select_strategy="default",
        num_additional_image_tokens=1,
        chat_template=LLAVA_TEMPLATE,
    )
    return LlavaForConditionalGeneration(config), processor


def build_gemma3():
    marks = {
        "image_token": "<image_soft_token>",
        "boi_token": "<start_of_image>",
        "eoi_token": "<end_of_image>",
    }
    tokenizer = build_tokenizer(
        ["<pad>", "<eos>", "<bos>", "<unk>", "<start_of_turn>", "<end_of_turn>", *marks.values()],
        "<bos>",
        eos_token="<eos>",
        unk_token="<unk>",
        pad_token="<pad>",
        extra_special_tokens=marks,
    )
    config = Gemma3Config(
        vision_config=SiglipVisionConfig(
            **VISION, num_hidden_layers=2, image_size=56, patch_size=7, vision_use_head=False
        ),
        text_config=Gemma3TextConfig(
            **{**TEXT, "num_hidden_layers": 3},
            head_dim=8,
            query_pre_attn_scalar=8,
            sliding_window=12,  # less than an image's tokens
            layer_types=["sliding_attention", "sliding_attention", "full_attention"],
            vocab_size=len(tokenizer) + 8,
        ),
        mm_tokens_per_image=16,
        **{f"{n}_index": tokenizer.convert_tokens_to_ids(t) for n, t in marks.items()},
    )
    processor = Gemma3Processor(
        Gemma3ImageProcessor(size={"height": 56, "width": 56}),
        tokenizer,
        image_seq_length=16,
        chat_template=GEMMA_TEMPLATE,
    )
    return Gemma3ForConditionalGeneration(config), processor


BUILDERS = {
    "qwen2_5_vl": build_qwen2_5_vl,
    "llava": build_llava,
    "qwen3_vl": build_qwen3_vl,
    "gemma3": build_gemma3,
}


def build_small(architecture: str, folder: Path) -> Path:
    """Save a small model of this row of BACKBONES, with language head and processor, in `folder`."""
    torch.manual_seed(0)
    model, processor = BUILDERS[architecture]()
    with torch.no_grad():
        # The usual initial weights are so small that a wrong order of tokens would hardly show.
        for parameter in model.parameters():
            if parameter.ndim > 1:
                parameter.normal_(std=0.2)
    model.save_pretrained(folder)
    processor.save_pretrained(folder)
    return folder
