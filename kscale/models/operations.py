"""What one operation of `keras.ops` computes, from the shapes that it reads and gives.

Only the operations listed here are known. A constant that an operation reads is not
among the shapes, and so a product with one is unknown.
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


def _einsum(operation: Any, read: list[Shape], made: list[Shape]) -> Work | None:
    inputs, _, given = operation.subscripts.partition("->")
    terms = inputs.split(",")
    ranks = [len(term) - 1 for term in terms]
    is_open = "." in inputs or not given or len({term[:1] for term in terms}) > 1
    if is_open or ranks != list(map(len, read)) or len(terms) > 2:
        return None
    sides = {
        letter: side
        for term, shape in zip(terms, read, strict=True)
        for letter, side in zip(term[1:], shape, strict=True)
    }
    is_product = len(terms) == 2 and not sides.keys() <= set(given)
    return Work(2 * prod(sides.values()) if is_product else 0)


def _attention(operation: Any, read: list[Shape], made: list[Shape]) -> Work | None:
    if len(read) < 3:
        return None
    length, heads, features = read[0]
    scores = length * heads * read[1][0]
    return Work(2 * scores * (features + read[2][-1]), 4 * scores)


_PRODUCTS: dict[str, Callable[[Any, list[Shape], list[Shape]], Work | None]] = {
    "Matmul": _matmul,
    "Einsum": _einsum,
    "DotProductAttention": _attention,
}

# Element by element, comparisons, sums and the like, and what only moves values:
# nothing that `kscale.sizing` counts.
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
