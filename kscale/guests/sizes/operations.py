"""What one operation of `keras.ops` computes, from the shapes that it reads and gives.

Only the operations listed here are known. The shape of a constant that one reads is
whole, for it has no batch.
"""

from collections.abc import Callable
from math import prod
from typing import Any, NamedTuple

Shape = tuple[Any, ...]
"""Sides of a tensor without the batch; None is a side that depends on the values."""


class Work(NamedTuple):
    """FLOPs of one call, and bytes that it needs only while it runs."""

    flops: int = 0
    inner: int = 0


def work_of_operation(
    operation: Any, read: list[Shape], made: list[Shape]
) -> Work | None:
    """What an operation computes for one example; None if that is unknown."""
    kind = type(operation).__name__
    is_open = any(None in shape for shape in (*read, *made))
    if kind in _PRODUCTS and not is_open:
        return _PRODUCTS[kind](operation, read, made)
    return Work() if kind in _ELEMENTWISE else None


def _matmul(operation: Any, read: list[Shape], made: list[Shape]) -> Work | None:
    return Work(2 * prod(made[0]) * read[0][-1]) if len(read) == 2 else None


def _dot(operation: Any, read: list[Shape], made: list[Shape]) -> Work | None:
    is_usual = len(read) == 2 and read[0] and read[1]
    return Work(2 * prod(made[0]) * read[0][-1]) if is_usual else None


def _tensordot(operation: Any, read: list[Shape], made: list[Shape]) -> Work | None:
    axes = operation.axes
    summed = range(-axes, 0) if isinstance(axes, int) else axes[0]
    if len(read) != 2 or 0 in summed:  # a sum over the batch
        return None
    sides = [read[0][axis - (axis > 0)] for axis in summed]
    return Work(2 * prod(made[0]) * prod(sides) if sides else 0)


def _convolution(operation: Any, read: list[Shape], made: list[Shape]) -> Work | None:
    return Work(2 * prod(made[0]) * prod(read[1][:-1])) if len(read) == 2 else None


def _einsum(operation: Any, read: list[Shape], made: list[Shape]) -> Work | None:
    inputs, _, given = operation.subscripts.replace(" ", "").partition("->")
    terms = inputs.split(",")
    if not given or len(terms) > 2 or len(terms) != len(read):
        return None
    sides: dict[str, int] = {}
    for term, shape in zip(terms, read, strict=True):
        # The batch is the first letter, or among those that the dots stand for.
        letters = term.removeprefix("...")
        has_batch = letters != term or len(term) == len(shape) + 1
        is_clear = has_batch or len(term) == len(shape)
        if "." in letters or not is_clear or (has_batch and term[0] != given[0]):
            return None
        sides.update(zip(reversed(letters), reversed(shape), strict=False))
    summed = [side for letter, side in sides.items() if letter not in given]
    is_product = len(terms) == 2 and bool(summed)
    return Work(2 * prod(made[0]) * prod(summed) if is_product else 0)


def _attention(operation: Any, read: list[Shape], made: list[Shape]) -> Work | None:
    if len(read) < 3:
        return None
    length, heads, features = read[0]
    scores = length * heads * read[1][0]
    return Work(2 * scores * (features + read[2][-1]), 4 * scores)


_PRODUCTS: dict[str, Callable[[Any, list[Shape], list[Shape]], Work | None]] = {
    "Matmul": _matmul,
    "Dot": _dot,
    "Inner": _dot,
    "Tensordot": _tensordot,
    "Conv": _convolution,
    "Einsum": _einsum,
    "DotProductAttention": _attention,
}

# Element by element, comparisons, sums and the like, and what only moves values:
# nothing that `kscale.networks.sizing` counts.
_ELEMENTWISE = frozenset(
    """
    Relu Relu6 Sigmoid SparseSigmoid Softplus Softsign SoftShrink SparsePlus Silu
    Squareplus LogSigmoid LeakyRelu HardSigmoid HardSilu Elu Selu Gelu Celu Glu
    TanhShrink HardTanh HardShrink Threshold Softmax LogSoftmax Sparsemax
    MaxPool AveragePool AdaptiveMaxPool AdaptiveAveragePool OneHot MultiHot Moments
    BatchNorm LayerNorm RMSNorm Normalize DepthToSpace SpaceToDepth
    Abs Absolute Fabs Add Arccos Arccosh Arcsin Arcsinh Arctan Arctan2 Arctanh Cbrt
    Ceil Clip Copy Cos Cosh Deg2rad Rad2deg Divide DivideNoNan Exp Exp2 Expm1 Floor
    FloorDivide Fmax Fmin Fmod Heaviside Hypot Log Log10 Log1p Log2 Logaddexp
    Logaddexp2 Maximum Minimum Mod Multiply NanToNum Negative Power Reciprocal Round
    Rsqrt Sign Signbit Sin Sinc Sinh Sqrt Square Subtract Tan Tanh TrueDivide Trunc
    Erf Erfc Erfinv
    BitwiseAnd BitwiseInvert BitwiseNot BitwiseOr BitwiseXor BitwiseLeftShift LeftShift
    BitwiseRightShift RightShift Equal Greater GreaterEqual Isclose Isfinite IsIn Isinf
    Isnan Isneginf Isposinf Less LessEqual LogicalAnd LogicalNot LogicalOr LogicalXor
    NotEqual Select Where
    All Amax Amin Any Argmax Argmin Average Bincount CountNonzero Cumprod Cumsum
    Logsumexp Max Mean Median Min Nanargmax Nanargmin Nancumprod Nancumsum Nanmax
    Nanmean Nanmin Nanprod Nanstd Nansum Nanvar Prod Ptp SegmentMax SegmentMin Std
    SegmentSum Sum Var
    Argpartition Argsort Digitize InTopK SearchSorted Sort TopK
    Append Array ArraySplit BroadcastTo Concatenate Diag Diagflat Diagonal Diff Dsplit
    Dstack EmptyLike ExpandDims Flip Fliplr Flipud Full FullLike GetItem Hsplit Hstack
    Moveaxis OnesLike Pad Ravel Rearrange Repeat Reshape Roll Rot90 Split Squeeze Stack
    Swapaxes Take TakeAlongAxis Tile Trace Transpose Tril Triu Vsplit Vstack ZerosLike
    Cast ConvertToTensor SaturateCast Scatter ScatterUpdate Slice SliceUpdate
    StopGradient Unstack CropImages ExtractPatches PadImages Resize RGBToGrayscale
    """.split()  # noqa: SIM905  (a name a line would be a page)
)
