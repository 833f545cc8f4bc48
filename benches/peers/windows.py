"""What other libraries say of one window: functions (pre, post, x, y) -> (right, down) for the window whose corner is (x, y)."""

import cv2
import numpy as np
from skimage.registration import phase_cross_correlation


def parabola(left, middle, right):
    bend = left - 2 * middle + right
    return 0.0 if bend == 0 else float(np.clip(0.5 * (left - right) / bend, -0.5, 0.5))


def match_template(window, search, at_edge=lambda dx, dy: (np.nan, np.nan)):
    """OpenCV matchTemplate with a parabola through the neighbours; `at_edge`: what a peak at the edge of the search gives."""

    def estimate(pre, post, x, y):
        area = post[y - search : y + window + search, x - search : x + window + search]
        s = cv2.matchTemplate(area, pre[y : y + window, x : x + window], cv2.TM_CCOEFF_NORMED)
        _, _, _, (i, j) = cv2.minMaxLoc(s)
        if not (0 < i < 2 * search and 0 < j < 2 * search):
            return at_edge(i - search, j - search)
        return (i - search + parabola(s[j, i - 1], s[j, i], s[j, i + 1]),
                j - search + parabola(s[j - 1, i], s[j, i], s[j + 1, i]))

    return estimate


def ecc(window, criteria, margin=4):
    """OpenCV findTransformECC, a translation."""

    def estimate(pre, post, x, y):
        # The post window with a margin, so that the warp does not run out of pixels.
        area = post[y - margin : y + window + margin, x - margin : x + window + margin]
        warp = np.array([[1, 0, margin], [0, 1, margin]], np.float32)
        try:
            _, warp = cv2.findTransformECC(pre[y : y + window, x : x + window], area, warp, cv2.MOTION_TRANSLATION,
                                           criteria, None, 1)
        except cv2.error:
            return np.nan, np.nan
        return warp[0, 2] - margin, warp[1, 2] - margin

    return estimate


def phase_correlate(window):
    hann = cv2.createHanningWindow((window, window), cv2.CV_32F)

    def estimate(pre, post, x, y):
        part = np.s_[y : y + window, x : x + window]
        return cv2.phaseCorrelate(pre[part], post[part], hann)[0]

    return estimate


def scikit_image(window, **options):
    def estimate(pre, post, x, y):
        part = np.s_[y : y + window, x : x + window]
        # The shift that undoes the motion, row first.
        shift = phase_cross_correlation(pre[part], post[part], upsample_factor=100, **options)[0]
        return -shift[1], -shift[0]

    return estimate


def dis_flow(pre, post):
    """OpenCV DIS on 8-bit copies, medium preset at the finest scale, 50 iterations: (images, the flow's function)."""
    low, high = np.percentile(pre, [0.5, 99.5])
    images = [np.clip((a - low) / (high - low) * 255, 0, 255).astype(np.uint8) for a in (pre, post)]
    flow = cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    flow.setFinestScale(0)
    flow.setPatchSize(16)
    flow.setPatchStride(4)
    flow.setGradientDescentIterations(50)
    return images, lambda: flow.calc(*images, None)
