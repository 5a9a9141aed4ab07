"""Images that a table names by URL, fetched once into the cache; only with --allow-urls.

What a table names, the user has allowed, wherever it lies; what a server answers, nobody has. So an
address is followed to another one only by http or https and only to a public host: not to this
machine, not into its network.
"""

from __future__ import annotations

import hashlib
import socket
import threading
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable
from http.client import HTTPException, HTTPResponse
from ipaddress import ip_address
from pathlib import Path

from fairlora_cls.errors import InputError
from fairlora_cls.files import OTHER_CACHE, cache_folder, require_writable, write_atomically

LARGEST = 64 * 2**20  # bytes of one image
TIMEOUT = 30.0  # seconds without an answer
TOTAL_TIME = 120.0  # seconds for one image, all in all
REDIRECTS = 5  # addresses that one leads to
CONNECTIONS = 8  # at once
MOVED = (301, 302, 303, 307, 308)


def is_url(name: str) -> bool:
    """Whether a name is an address that may be fetched: http or https, no other scheme."""
    return name.lower().startswith(("http://", "https://"))


def fetched_file(url: str) -> Path:
    """Where in the cache the image of an address lies once it was fetched."""
    key = hashlib.blake2b(url.encode(errors="surrogatepass"), digest_size=16).hexdigest()
    return cache_folder() / "downloads" / f"{key}.image"


def download_image(url: str) -> Path:
    """The file in the cache of an image that is fetched once and is whole or absent.

    Raises InputError for an address that gives no whole file of at most 64 MiB within two minutes.
    """
    path = fetched_file(url)
    if path.is_file():
        return path
    require_writable(path.parent, OTHER_CACHE)
    try:
        content = _in_time(lambda: _fetch(url))
    except (OSError, HTTPException, ValueError) as error:
        raise InputError(f"The image '{url}' cannot be fetched ({error}).") from error
    if not content:
        raise InputError(f"The image '{url}' is empty.")
    write_atomically(path, lambda temporary: temporary.write_bytes(content))
    return path


def _in_time(fetch: Callable[[], bytes]) -> bytes:
    """What `fetch` gives within TOTAL_TIME. A server that sends a byte now and then would put off
    the timeout of every single answer for ever."""
    outcome: list[bytes | Exception] = []

    def run() -> None:
        try:
            outcome.append(fetch())
        except Exception as error:
            outcome.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(TOTAL_TIME)
    if not outcome:
        raise TimeoutError(f"it took longer than {TOTAL_TIME:g} seconds")
    if isinstance(outcome[0], Exception):
        raise outcome[0]
    return outcome[0]


def _fetch(url: str) -> bytes:
    """The whole body of an address, or of the one that it leads to."""
    opener = _opener()
    address = url
    for _ in range(REDIRECTS + 1):
        try:
            with opener.open(address, timeout=TIMEOUT) as answer:
                return _whole_body(answer)
        except urllib.error.HTTPError as error:
            error.close()
            target = error.headers.get("Location")
            if error.code not in MOVED or not target:
                raise
            address = urllib.parse.urljoin(address, target)
            _refuse_private(address)
    raise ValueError(f"it leads on to more than {REDIRECTS} other addresses")


def _opener() -> urllib.request.OpenerDirector:
    """http and https alone, through the proxies of the environment, following nothing by itself."""
    opener = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.ProxyHandler,
        urllib.request.UnknownHandler,
        urllib.request.HTTPHandler,
        urllib.request.HTTPSHandler,
        urllib.request.HTTPErrorProcessor,
        urllib.request.HTTPDefaultErrorHandler,
    ):
        opener.add_handler(handler())
    return opener


def _refuse_private(address: str) -> None:
    """Raise ValueError unless a server may send us to this address.

    Behind a proxy, which looks names up itself, one that is unknown here is left to it.
    """
    host = urllib.parse.urlsplit(address).hostname
    if not is_url(address) or not host:
        raise ValueError(f"it leads to '{address}', and only http and https are followed")
    try:
        places = socket.getaddrinfo(host, None)
    except socket.gaierror:
        if urllib.parse.urlsplit(address).scheme in urllib.request.getproxies():
            return
        raise
    for *_, place in places:
        if not ip_address(place[0].partition("%")[0]).is_global:
            raise ValueError(
                f"it leads to '{address}' in a private network, which is not followed; name the last "
                "address itself if it is yours"
            )


def _whole_body(answer: HTTPResponse) -> bytes:
    content = answer.read(LARGEST + 1)
    if len(content) > LARGEST:
        raise ValueError(f"it is larger than {LARGEST // 2**20} MiB")
    if answer.length:  # bytes that were announced and did not come
        raise ValueError(f"it was cut short: {answer.length:,} bytes are missing")
    return content
