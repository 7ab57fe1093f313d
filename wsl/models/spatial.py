"""What a layer gives as a map (B, C, h, w), whatever order or token layout the network works in."""

from __future__ import annotations

from torch import Tensor

from wsl.errors import ModelError

AROUND = 1.0  # positions by which padding and rounding may move a side of a map


def to_channels_first(output: Tensor, input_size: tuple[int, int], name: str, channels_last: bool = False) -> Tensor:
    """A 4-D map in either order -> (B, C, h, w): the two axes that have the input's shape are the space.

    input_size: (height, width) of the network's input. channels_last: which order wins when both fit.
    name: of the network, for the ModelError when neither order fits.
    """
    first, last = compute_misfit(output.shape[2:], input_size), compute_misfit(output.shape[1:3], input_size)
    if min(first, last) > AROUND:
        raise ModelError(
            f"{name}: expected a layer with a map of the input's shape, {input_size[0]} x {input_size[1]}, but got "
            f"{tuple(output.shape)}; choose another layer."
        )
    turned = first > AROUND or (channels_last and last <= AROUND)
    return output.permute(0, 3, 1, 2) if turned else output


def compute_misfit(sides: tuple[int, ...], input_size: tuple[int, int]) -> float:
    """By how many positions (rows, columns) are off the input's shape; infinite where they are more than its pixels."""
    rows, columns = sides
    height, width = input_size
    if rows > height or columns > width:
        return float("inf")
    return min(abs(columns - rows * width / height), abs(rows - columns * height / width))


def tokens_to_grid(output: Tensor, grid: tuple[int, int], prefix: int, name: str) -> Tensor:
    """Tokens (B, prefix + rows * columns, C), row by row -> (B, C, rows, columns); ModelError when they do not fit."""
    rows, columns = grid
    if output.ndim != 3 or output.shape[1] != prefix + rows * columns:
        raise ModelError(
            f"{name}: expected {rows} x {columns} = {rows * columns} tokens + {prefix} prefix tokens, but got shape "
            f"{tuple(output.shape)}; choose another layer."
        )
    return output[:, prefix:].transpose(1, 2).reshape(len(output), output.shape[2], rows, columns)
