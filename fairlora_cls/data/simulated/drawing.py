"""How simulated eyes and skin lesions are painted, pixel by pixel.

A scene (a frozen dataclass) says what there is to see; a `draw_` function paints it and takes from
its generator only what a scene leaves open: where vessels run, where hairs lie, sensor noise.
Lengths are fractions of the image's shorter side unless a unit is named; colours are linear
fractions of full scale; images are (height, width, 3) uint8.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

LUMINANCE = np.array([0.299, 0.587, 0.114], np.float32)  # ITU-R BT.601, as JPEG weighs them


# (scene, image (height, width, 3), opacity of the lesion (height, width), generator) → the image with
# more in the lesion than its scene says
Structures = Callable[["LesionScene", np.ndarray, np.ndarray, np.random.Generator], np.ndarray]


@dataclass(frozen=True)
class FundusScene:
    """A fundus photograph centred on the optic disc."""

    vertical_cup_to_disc_ratio: float  # cup height / disc height
    cup_aspect: float  # (cup width / disc width) / (cup height / disc height)
    cup_shift: float  # towards the temporal side, in free rim widths
    disc_radius: float  # vertical
    disc_aspect: float  # disc width / disc height
    disc_shift: tuple[float, float]  # of the disc's centre from the image's, (x, y)
    rotation: float  # radians, clockwise
    right_eye: bool  # nasal side on the right of the image
    contrast: float  # how far the cup is paler than the rim; 1 is an ordinary eye
    pigmentation: float  # 0 blond fundus … 1 heavily pigmented
    redness: float  # of the retina, −1 yellowish … 1 reddish
    warmth: float  # white balance, −1 bluish … 1 yellowish
    vessel_count: int  # trunks leaving the disc
    vessel_depth: float  # darkness of vessels, 0–1
    exposure: float  # mean luminance that the camera aims at
    light_slope: float  # relative brightening across the image, edge to edge
    light_angle: float  # radians, direction of that brightening
    vignette: float  # relative darkening of the corners
    noise: float  # standard deviation of the sensor noise
    blur: float  # standard deviation of the defocus, in pixels of a 112-pixel image


@dataclass(frozen=True)
class LesionScene:
    """A dermoscopic photograph of one pigmented skin lesion."""

    skin: tuple[float, float, float]  # RGB of the surrounding skin
    colours: tuple[tuple[float, float, float], ...]  # RGB within the lesion, main one first
    centre: tuple[float, float]  # shift from the image's centre, (x, y)
    radius: float  # root mean square of the outline
    elongation: float  # long axis / short axis
    angle: float  # radians, of the long axis
    irregularity: float  # relative standard deviation of the outline, high frequencies
    asymmetry: float  # relative standard deviation of the outline, lowest frequencies
    softness: float  # width of the border's fade-out, in lesion radii
    patchiness: float  # share of the lesion that the further colours cover
    network: float  # depth of the pigment network, 0–1
    hairs: int  # number of hairs
    exposure: float  # factor on the whole image's brightness
    warmth: float  # white balance, −1 bluish … 1 yellowish
    vignette: float  # relative darkening of the corners
    noise: float  # standard deviation of the sensor noise
    blur: float  # standard deviation of the defocus, in pixels of a 112-pixel image


def draw_fundus(
    scene: FundusScene, height: int, width: int, generator: np.random.Generator
) -> np.ndarray:
    """Paint a fundus photograph, uint8 (height, width, 3).

    The camera exposes for the scene's stated mean luminance, as real ones do; without that a larger
    cup, being pale, would make the whole image brighter and give the diagnosis away.
    """
    short = min(height, width)
    x, y = pixel_grid(height, width)
    nasal = 1.0 if scene.right_eye else -1.0
    across, down = _turned(x - scene.disc_shift[0], y - scene.disc_shift[1], scene.rotation)

    retina = np.array([0.66, 0.31, 0.15], np.float32) * (1.0 - 0.55 * scene.pigmentation)
    retina = retina * np.array([1 + 0.12 * scene.redness, 1.0, 1 - 0.25 * scene.redness], "f4")
    mottle = 1.0 + 0.10 * smooth_noise(generator, height, width, 5)
    mottle += 0.05 * smooth_noise(generator, height, width, 16)
    image = retina * mottle[..., None]

    rim_colour = np.array([0.88, 0.56, 0.32], np.float32)
    rim_colour = rim_colour * (1 + np.array([0.0, -0.08, -0.12], "f4") * scene.redness)
    pallor = np.array([0.10, 0.26, 0.30], np.float32) * scene.contrast
    disc_x = scene.disc_radius * scene.disc_aspect
    disc_y = scene.disc_radius
    image = blend(image, rim_colour, _ellipse(across, down, disc_x, disc_y, 0.016))

    cup_y = disc_y * scene.vertical_cup_to_disc_ratio
    cup_x = min(disc_x * scene.vertical_cup_to_disc_ratio * scene.cup_aspect, 0.97 * disc_x)
    temporal = -nasal * scene.cup_shift * (disc_x - cup_x)
    image = image + _ellipse(across - temporal, down, cup_x, cup_y, 0.018)[..., None] * pallor

    vessels = _vessel_mask(scene, nasal, height, width, generator)
    dark = np.array([0.35, 0.09, 0.06], np.float32) * (1 - 0.3 * scene.pigmentation)
    image = blend(image, dark, scene.vessel_depth * vessels)

    light = 1.0 + scene.light_slope * (
        np.cos(scene.light_angle) * x + np.sin(scene.light_angle) * y
    )
    image = image * (light - scene.vignette * 2.0 * (x * x + y * y))[..., None]
    image = image * np.array([1 + 0.08 * scene.warmth, 1.0, 1 - 0.35 * scene.warmth], np.float32)
    image = image * (scene.exposure / float((image @ LUMINANCE).mean()))
    return photograph(image, scene.blur * short / 112, scene.noise, generator)


def draw_lesion(
    scene: LesionScene,
    height: int,
    width: int,
    generator: np.random.Generator,
    structures: Structures | None = None,
) -> np.ndarray:
    """Paint a dermoscopic photograph, uint8 (height, width, 3), with further `structures` if given."""
    short = min(height, width)
    x, y = pixel_grid(height, width)
    skin = np.asarray(scene.skin, np.float32)
    mottle = 1.0 + 0.04 * smooth_noise(generator, height, width, 4)
    mottle += 0.03 * smooth_noise(generator, height, width, 24)
    image = skin * mottle[..., None]

    inside, depth = _lesion_mask(scene, x, y, generator)
    body = _lesion_colours(scene, height, width, depth, generator)
    body = body * (1.0 + 0.10 * smooth_noise(generator, height, width, 14))[..., None]
    image = image * (1 - inside[..., None]) + body * inside[..., None]

    if scene.network > 0:
        mesh = _network(height, width, generator)
        image = image * (1 - (0.55 * scene.network) * (mesh * inside))[..., None]
    if structures is not None:
        image = structures(scene, image, inside, generator)
    if scene.hairs:
        hairs = stroke_mask(scene.hairs, 1.1, 1.6, None, height, width, generator)
        image = blend(image, np.array([0.12, 0.08, 0.06], "f4"), 0.8 * hairs)

    balance = np.array([1 + 0.06 * scene.warmth, 1.0, 1 - 0.10 * scene.warmth], np.float32)
    image = image * (balance * scene.exposure)
    image = image * (1.0 - scene.vignette * 2.0 * (x * x + y * y))[..., None]
    return photograph(image, scene.blur * short / 112, scene.noise, generator)


def pixel_grid(height: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    """Each pixel's (x, y) from the image's centre, in shorter sides: (1, width), (height, 1)."""
    short = min(height, width)
    x = (np.arange(width, dtype=np.float32) + 0.5 - width / 2) / short
    y = (np.arange(height, dtype=np.float32) + 0.5 - height / 2) / short
    return x[None, :], y[:, None]


def smooth_noise(generator: np.random.Generator, height: int, width: int, cells: int) -> np.ndarray:
    """Random hills, float32 (height, width), standard deviation near 1, `cells` a shorter side."""
    short = min(height, width)
    rows = max(2, round(cells * height / short)) + 1
    columns = max(2, round(cells * width / short)) + 1
    small = generator.standard_normal((rows, columns), dtype=np.float32)
    large = Image.fromarray(small).resize((width, height), Image.Resampling.BICUBIC)
    return np.asarray(large) * np.float32(1.25)


def _turned(x: np.ndarray, y: np.ndarray, angle: float) -> tuple[np.ndarray, np.ndarray]:
    c, s = np.float32(np.cos(angle)), np.float32(np.sin(angle))
    return c * x + s * y, c * y - s * x


def _ellipse(x: np.ndarray, y: np.ndarray, a: float, b: float, fade: float) -> np.ndarray:
    """1 inside, 0 outside, crossing 1/2 on the ellipse within a logistic fade of that width."""
    distance = (np.sqrt((x / a) ** 2 + (y / b) ** 2) - 1.0) * (a * b) ** 0.5
    return 1.0 / (1.0 + np.exp(np.clip(distance * (4.0 / fade), -30, 30)))


def blend(image: np.ndarray, colour: np.ndarray, opacity: np.ndarray) -> np.ndarray:
    """A colour over an image, opacity (height, width) from 0 to 1."""
    return image + opacity[..., None] * (colour - image)


def photograph(
    image: np.ndarray, blur: float, noise: float, generator: np.random.Generator
) -> np.ndarray:
    """Defocus, sensor noise and eight bits."""
    sharp = Image.fromarray((np.clip(image, 0, 1) * 255).astype(np.uint8))
    soft = np.asarray(sharp.filter(ImageFilter.GaussianBlur(blur)), np.float32)
    grain = generator.standard_normal(soft.shape, dtype=np.float32)
    return np.clip(soft + grain * np.float32(255 * noise) + 0.5, 0, 255).astype(np.uint8)


def _vessel_mask(
    scene: FundusScene, nasal: float, height: int, width: int, generator: np.random.Generator
) -> np.ndarray:
    """Trunks that leave the disc upwards and downwards, arch and fork: float32 (height, width)."""
    short = min(height, width)
    canvas = Image.new("L", (2 * width, 2 * height))
    pen = ImageDraw.Draw(canvas)
    steps = 14
    for trunk in range(scene.vessel_count):
        upwards = -1.0 if trunk % 2 else 1.0
        sideways = generator.uniform(-0.9, 0.9)
        heading = upwards * (np.pi / 2 - sideways) + scene.rotation
        bend = -upwards * np.sign(sideways) * generator.uniform(0.0, 0.10)
        start = np.array(
            [
                scene.disc_shift[0] + scene.disc_radius * (0.15 * nasal + generator.normal(0, 0.1)),
                scene.disc_shift[1] + scene.disc_radius * generator.normal(0, 0.15),
            ]
        )
        thickness = short * generator.uniform(0.018, 0.042)
        points = _path(start, heading, bend, steps, 0.062, generator)
        _draw_path(pen, points, thickness, short, height, width)
        fork = int(generator.integers(4, steps - 4))
        turn = generator.uniform(0.4, 0.9) * (1 if generator.random() < 0.5 else -1)
        direction = np.arctan2(*(points[fork + 1] - points[fork])[::-1]) + turn
        twig = _path(points[fork], direction, -0.06 * np.sign(turn), 10, 0.055, generator)
        _draw_path(pen, twig, 0.6 * thickness, short, height, width)
    return np.asarray(canvas.reduce(2), np.float32) / np.float32(255)


def _path(
    start: np.ndarray,
    heading: float,
    bend: float,
    steps: int,
    stride: float,
    generator: np.random.Generator,
) -> np.ndarray:
    """A wandering line, (steps + 1, 2)."""
    angles = heading + np.cumsum(bend + generator.normal(0, 0.09, steps))
    moves = stride * np.stack([np.cos(angles), np.sin(angles)], axis=1)
    return np.concatenate([start[None], start + np.cumsum(moves, axis=0)])


def _draw_path(
    pen: ImageDraw.ImageDraw,
    points: np.ndarray,
    thickness: float,
    short: int,
    height: int,
    width: int,
) -> None:
    """Draw a path that thins towards its end, onto a canvas of twice the image's size."""
    pixels = [tuple(p) for p in (points * (2 * short) + (width, height)).tolist()]
    half = len(pixels) // 2
    pen.line(pixels[: half + 1], fill=255, width=max(1, round(2 * thickness)), joint="curve")
    pen.line(pixels[half:], fill=255, width=max(1, round(1.4 * thickness)), joint="curve")


def _lesion_mask(
    scene: LesionScene, x: np.ndarray, y: np.ndarray, generator: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """(opacity of the lesion, 0 centre … 1 border … beyond), both float32 (height, width)."""
    across, down = _turned(x - scene.centre[0], y - scene.centre[1], scene.angle)
    stretch = scene.elongation**0.5
    across, down = across / stretch, down * stretch
    theta = np.arctan2(down, across)
    outline = np.ones_like(theta)
    for waves in range(1, 11):
        sd = scene.asymmetry / 1.7 if waves <= 3 else scene.irregularity / 2.6
        outline += np.float32(generator.normal(0, sd)) * np.cos(
            waves * theta + np.float32(generator.uniform(0, 2 * np.pi))
        )
    depth = np.sqrt(across**2 + down**2) / (scene.radius * np.clip(outline, 0.3, 2.0))
    opacity = 1.0 / (1.0 + np.exp(np.clip((depth - 1.0) * (4.0 / scene.softness), -30, 30)))
    return opacity.astype(np.float32), depth


def _lesion_colours(
    scene: LesionScene,
    height: int,
    width: int,
    depth: np.ndarray,
    generator: np.random.Generator,
) -> np.ndarray:
    """The lesion's own colours, float32 (height, width, 3): patches of each over the main one."""
    body = np.broadcast_to(np.asarray(scene.colours[0], np.float32), (height, width, 3))
    rings = generator.random() < 0.3
    for colour in scene.colours[1:]:
        hills = smooth_noise(generator, height, width, 5)
        if rings:
            hills = 1.5 * (np.clip(depth, 0, 1.5) - 0.6) + 0.5 * hills
        edge = 1.3 * (1.0 - 2.0 * scene.patchiness)
        body = blend(body, np.asarray(colour, np.float32), np.clip(4 * (hills - edge), 0, 1))
    return body


def _network(height: int, width: int, generator: np.random.Generator) -> np.ndarray:
    """A net of lines around holes, 0–1 (height, width): the zero crossings of random hills."""
    fineness = int(generator.integers(14, 26))
    first = np.abs(smooth_noise(generator, height, width, fineness))
    return np.clip(1.0 - 2.2 * first, 0, 1)


def stroke_mask(
    count: int,
    length: float,
    thickness: float,
    scene: LesionScene | None,
    height: int,
    width: int,
    generator: np.random.Generator,
) -> np.ndarray:
    """`count` thin wandering lines, within the scene's lesion or anywhere: (height, width)."""
    canvas = Image.new("L", (2 * width, 2 * height))
    pen = ImageDraw.Draw(canvas)
    short = min(height, width)
    for _ in range(count):
        if scene is None:
            start = generator.uniform(-0.7, 0.7, 2)
        else:
            start = generator.normal(0, 0.5 * scene.radius, 2) + scene.centre
        line = _path(start, generator.uniform(0, 2 * np.pi), 0.0, 10, length / 10, generator)
        _draw_path(pen, line, thickness * short / 112, short, height, width)
    return np.asarray(canvas.reduce(2), np.float32) / np.float32(255)
