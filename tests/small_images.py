"""Image files of kinds that Pillow does not write: 16 bits a channel, in PNG and TIFF.

H rows, W columns, C channels.
"""

import struct
import zlib

PNG_COLOUR_TYPES = {1: 0, 3: 2, 2: 4, 4: 6}  # by channels: grey, RGB, grey and alpha, RGBA


def write_png16(path, pixels, extra=b""):
    """(H, W, C) uint16; `extra` are chunks before the pixels."""
    height, width, channels = pixels.shape
    lines = b"".join(b"\0" + line.astype(">u2").tobytes() for line in pixels)
    header = struct.pack(">IIBBBBB", width, height, 16, PNG_COLOUR_TYPES[channels], 0, 0, 0)
    parts = png_chunk(b"IHDR", header) + extra + png_chunk(b"IDAT", zlib.compress(lines))
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + parts + png_chunk(b"IEND", b""))
    return path


def png_chunk(kind, content):
    check = struct.pack(">I", zlib.crc32(kind + content))
    return struct.pack(">I", len(content)) + kind + content + check


def write_tiff(path, pixels, order="<", photometric=2, *, compressed=False, **tags):
    """(H, W, C) of any number type, one strip; `tags` are further ones, as t339=(2,)."""
    height, width, channels = pixels.shape
    content = pixels.astype(pixels.dtype.newbyteorder(order)).tobytes()
    content = zlib.compress(content) if compressed else content
    entries = {
        256: (width,),
        257: (height,),
        258: (8 * pixels.dtype.itemsize,) * channels,
        259: (8 if compressed else 1,),
        262: (photometric,),
        273: (8,),
        277: (channels,),
        278: (height,),
        279: (len(content),),
    } | {int(name[1:]): value for name, value in tags.items()}
    start = 8 + len(content) + len(content) % 2
    beyond = start + 2 + 12 * len(entries) + 4
    directory, longer = struct.pack(f"{order}H", len(entries)), b""
    for tag, values in sorted(entries.items()):
        packed = struct.pack(f"{order}{len(values)}I", *values)  # LONG, which is always allowed
        if len(values) > 1:
            longer += packed
            packed = struct.pack(f"{order}I", beyond + len(longer) - len(packed))
        directory += struct.pack(f"{order}HHI", tag, 4, len(values)) + packed
    mark = b"II*\0" if order == "<" else b"MM\0*"
    padding = b"\0" * (len(content) % 2)
    tail = directory + b"\0\0\0\0" + longer
    path.write_bytes(mark + struct.pack(f"{order}I", start) + content + padding + tail)
    return path
