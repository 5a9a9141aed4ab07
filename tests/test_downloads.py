"""Fetched once, whole or not at all, and never without end."""

import http.client
import io
import urllib.error

import pytest

from fairlora_cls.data import downloads
from fairlora_cls.errors import InputError

URL = "https://example.org/a.png"


@pytest.fixture
def answers(monkeypatch, tmp_path):
    """What the network says, in order; the test's own cache."""
    queue = []

    def urlopen(url, timeout):
        answer = queue.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return io.BytesIO(answer)

    monkeypatch.setenv("FAIRLORA_CACHE", str(tmp_path))
    monkeypatch.setattr(downloads.urllib.request, "urlopen", urlopen)
    return queue


def test_an_image_is_fetched_once(answers):
    answers.append(b"picture")
    path = downloads.download_images([URL])[URL]
    assert path.read_bytes() == b"picture"
    assert downloads.download_images([URL])[URL] == path  # the queue is empty: nothing was asked


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (urllib.error.URLError("no route"), "cannot be fetched.*no route"),
        (TimeoutError("timed out"), "cannot be fetched"),
        (http.client.IncompleteRead(b"x", 9), "cannot be fetched"),
        (b"", "is empty"),
        (b"123456", "larger than"),
    ],
)
def test_what_goes_wrong_is_said_and_leaves_nothing(answers, answer, words, monkeypatch, tmp_path):
    monkeypatch.setattr(downloads, "LARGEST", 5)
    answers.append(answer)
    with pytest.raises(InputError, match=words):
        downloads.download_images([URL])
    assert [p for p in tmp_path.rglob("*") if p.is_file()] == []
