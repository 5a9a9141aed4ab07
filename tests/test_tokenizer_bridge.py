"""The tokenizer methods that older scorers call."""

import pytest
from transformers import BertTokenizer

from fairlora_cls.texts.tokenizer_bridge import older_tokenizers

WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "no", "edema"]


@pytest.fixture
def tokenizer(tmp_path):
    (tmp_path / "vocab.txt").write_text("\n".join(WORDS) + "\n", encoding="utf-8")
    return BertTokenizer.from_pretrained(tmp_path)


def test_the_two_methods_work_as_they_did(tokenizer):
    with older_tokenizers():
        assert tokenizer.build_inputs_with_special_tokens([5, 6]) == [2, 5, 6, 3]
        assert tokenizer.encode_plus(["no", "edema"])["input_ids"] == [2, 5, 6, 3]
        assert tokenizer.encode_plus("no edema")["input_ids"] == [2, 5, 6, 3]
        pair = tokenizer.encode_plus("no", "edema", return_token_type_ids=True)
        assert pair["input_ids"] == [2, 5, 3, 6, 3]
        assert pair["token_type_ids"] == [0, 0, 0, 1, 1]
        bare = tokenizer.encode_plus(text="edema", add_special_tokens=False)
        assert bare["input_ids"] == [6]


def test_nothing_stays_behind(tokenizer):
    with pytest.raises(ZeroDivisionError), older_tokenizers():
        raise ZeroDivisionError
    with pytest.raises(AttributeError, match="encode_plus"):
        _ = tokenizer.encode_plus
