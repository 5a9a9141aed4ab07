"""Fetched once, whole or not at all, never without end, and never where a server sends us."""

import socket
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import ClassVar

import pytest

from fairlora_cls.data import downloads
from fairlora_cls.errors import InputError

PICTURE = b"picture"


class Answers(BaseHTTPRequestHandler):
    """A server that does what its path says."""

    asked: ClassVar[list[str]] = []
    over = threading.Event()  # ends the answers that never end

    def do_GET(self):
        self.asked.append(self.path)
        kind, _, rest = self.path[1:].partition("/")
        if kind == "to":
            self.send_response(302)
            self.send_header("Location", rest)
            self.end_headers()
            return
        self.send_response(404 if kind == "absent" else 200)
        length = {"cut": 100, "drip": 10**6, "empty": 0}.get(kind, len(PICTURE))
        self.send_header("Content-Length", str(length))
        self.end_headers()
        if kind == "drip":
            while not self.over.wait(0.01):
                self.wfile.write(b"x")
        elif kind != "empty":
            self.wfile.write(PICTURE)

    def log_message(self, *arguments):
        pass


@pytest.fixture(scope="module")
def server():
    with ThreadingHTTPServer(("127.0.0.1", 0), Answers) as running:
        thread = threading.Thread(target=running.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{running.server_port}"
        Answers.over.set()
        running.shutdown()
        thread.join()


@pytest.fixture(autouse=True)
def cache(monkeypatch, tmp_path):
    monkeypatch.setenv("FAIRLORA_CACHE", str(tmp_path))
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"):
        monkeypatch.delenv(name, raising=False)
    Answers.asked.clear()
    return tmp_path


def test_an_image_is_fetched_once(server):
    url = f"{server}/a.png"
    path = downloads.download_image(url)
    assert path.read_bytes() == PICTURE
    assert downloads.download_image(url) == path
    assert Answers.asked == ["/a.png"]


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("absent/a.png", "404"),
        ("empty/a.png", "is empty"),
        ("cut/a.png", "cut short: 93 bytes"),
        ("long/a.png", "larger than"),
        ("drip/a.png", "longer than 0.2 seconds"),
        ("to/ftp://example.org/a.png", "only http and https"),
        ("to/file:///etc/passwd", "only http and https"),
        ("to/a.png", "private network"),
        ("to/http://localhost/a.png", "private network"),
        ("to/http://2130706433/a.png", "private network"),
        ("to/http://[::1]/a.png", "private network"),
        ("to/http://[::ffff:127.0.0.1]/a.png", "private network"),
        ("to/http://169.254.169.254/latest", "private network"),
        ("to/http://10.0.0.1/a.png", "private network"),
        ("to/http://0.0.0.0/a.png", "private network"),
    ],
)
def test_what_goes_wrong_is_said_and_leaves_nothing(server, path, words, monkeypatch, cache):
    if path.startswith("long"):
        monkeypatch.setattr(downloads, "LARGEST", 5)
    if path.startswith("drip"):
        monkeypatch.setattr(downloads, "TOTAL_TIME", 0.2)
    with pytest.raises(InputError, match=words):
        downloads.download_image(f"{server}/{path}")
    assert [p for p in cache.rglob("*") if p.is_file()] == []
    assert Answers.asked == [f"/{path}"]


def test_a_public_host_is_followed(server, monkeypatch):
    """Its name leads to this machine only where the connection is made, for want of a network."""
    port = server.rpartition(":")[2]
    real = socket.getaddrinfo

    def resolve(host, *arguments, **options):
        if host != "public.example":
            return real(host, *arguments, **options)
        place = "93.184.215.14" if arguments == (None,) else "127.0.0.1"
        return real(place, *arguments, **options)

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    url = f"{server}/to/http://public.example:{port}/b.png"
    assert downloads.download_image(url).read_bytes() == PICTURE
    round_and_round = f"{server}/to/" + f"http://public.example:{port}/to/" * 6 + "x"
    with pytest.raises(InputError, match="more than 5"):
        downloads.download_image(round_and_round)


def test_a_name_unknown_here_is_left_to_the_proxy(server, monkeypatch):
    """Behind a proxy the names of the world need not be known; a private address stays one."""

    def resolve(host, *arguments, **options):
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    with pytest.raises(socket.gaierror):
        downloads._refuse_private("http://public.example/a.png")
    monkeypatch.setenv("http_proxy", "http://proxy.example:3128")
    downloads._refuse_private("http://public.example/a.png")
    monkeypatch.undo()
    monkeypatch.setenv("http_proxy", "http://proxy.example:3128")
    with pytest.raises(ValueError, match="private network"):
        downloads._refuse_private("http://127.0.0.1/a.png")


def test_nothing_answers():
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        with pytest.raises(InputError, match="cannot be fetched"):
            downloads.download_image(f"http://127.0.0.1:{unused.getsockname()[1]}/a.png")


def test_another_scheme_is_not_fetched(tmp_path):
    (tmp_path / "a.png").write_bytes(PICTURE)
    with pytest.raises(InputError, match="cannot be fetched"):
        downloads.download_image((tmp_path / "a.png").as_uri())
