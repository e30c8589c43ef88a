"""How a waveform is cut into the frames of a spectrogram: numbers of samples."""

USUAL_WINDOW = 25
"""Milliseconds that a frame sees unless another window is asked for."""

# Sainath & Parada 2015, section 2: 40 log-mel bands of 25 ms windows every 10 ms. Above
# 16 kHz, where there is more to hear, 64: Kong et al. 2020 (PANNs), section III.
_STEPS_A_WINDOW = 2.5
_BANDS = 40
_WIDE_BANDS = 64
_WIDE_RATE = 16_000


def bands_of(rate: int) -> int:
    """Mel bands that suit a rate in samples a second."""
    return _BANDS if rate <= _WIDE_RATE else _WIDE_BANDS


def step_of(rate: int, window: int = USUAL_WINDOW) -> int:
    """Samples from one frame to the next, in proportion to the window.

    Args:
        rate: Samples a second.
        window: Milliseconds that a frame sees.

    Example:

    >>> step_of(8000), step_of(8000, window=50)
    (80, 160)
    """
    return max(1, round(rate * window / (1000 * _STEPS_A_WINDOW)))


def window_of(rate: int, window: int = USUAL_WINDOW) -> int:
    """Samples that a frame sees, an even number: windows of odd length differ."""
    return 2 * max(1, round(rate * (window / 1000) / 2))


def fft_length_of(rate: int, window: int = USUAL_WINDOW) -> int:
    """Length of the Fourier transform: the next power of two."""
    return 1 << (window_of(rate, window) - 1).bit_length()
