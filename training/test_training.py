"""Tests of training: python -m unittest discover -s training. What needs PyTorch or the library is skipped without."""

import json
import os
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

import numpy as np

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

from augment import symmetric, translated  # noqa: E402
from calibrate import level  # noqa: E402
from insar_gnss_evaluate import ssim  # noqa: E402
from insar_pool import mirrored  # noqa: E402
from native import library  # noqa: E402

try:
    import torch
except ImportError:
    torch = None
try:
    import onnxruntime
except ImportError:
    onnxruntime = None


class Symmetries(unittest.TestCase):
    """A turned pair with its turned truth is still a pair: pre(x) = post(x + d(x))."""

    def test_truth_still_warps_one_image_onto_the_other(self):
        rng = np.random.default_rng(3)
        n = 24
        post = rng.standard_normal((n, n)).astype(np.float32)
        d = rng.integers(-2, 3, (2, n, n)).astype(np.float32)
        y, x = np.mgrid[0:n, 0:n]
        reads = lambda image, d: image[np.clip(y + d[1], 0, n - 1).astype(int), np.clip(x + d[0], 0, n - 1).astype(int)]
        pair, truth = np.stack([reads(post, d), post]), np.concatenate([d, np.zeros((2, n, n), np.float32)])
        inside = np.s_[3:-3, 3:-3]
        for symmetry in range(8):
            p, t = symmetric(pair.copy(), truth.copy(), symmetry, "pair")
            np.testing.assert_array_equal(p[0][inside], reads(p[1], t[:2])[inside])

    def test_front_end_channels_turn_like_the_truth(self):
        rng = np.random.default_rng(4)
        f = rng.standard_normal((48, 8, 8)).astype(np.float32)
        for symmetry in range(8):
            a, t = symmetric(f.copy(), f[[4, 5, 0, 0]].copy(), symmetry, "features")
            np.testing.assert_array_equal(a[4:6], t[:2])
            b, t = symmetric(f.copy(), f[[45, 46, 0, 0]].copy(), symmetry, "features")
            np.testing.assert_array_equal(b[45:47], t[:2])


class Translations(unittest.TestCase):
    """A pair displaced as a whole is a pair: pre(x) = post(x + d)."""

    def test_every_wave_moves_by_the_truth(self):
        rng = np.random.default_rng(6)
        n, margin = 96, 32
        y, x = np.mgrid[0:n, 0:n]
        wave = lambda dx, dy: np.sin(2 * np.pi * (9 * (x - dx) + 5 * (y - dy)) / n)
        pairs, truth = translated(np.stack([wave(0, 0)] * 3), rng, noise=0)
        inside = np.s_[margin : n - margin, margin : n - margin]
        for pair, t in zip(pairs, truth):
            dx, dy = t[0, 0, 0], t[1, 0, 0]
            np.testing.assert_allclose(pair[0], wave(0, 0)[inside], atol=1e-5)
            np.testing.assert_allclose(pair[1], wave(dx, dy)[inside], atol=1e-5)
        self.assertGreater(np.ptp(truth[:, 0, 0, 0]), 0.1)


class Level(unittest.TestCase):
    """What a network without a scale of its own says too small is said as it is."""

    def test_factor_and_floor_are_found(self):
        rng = np.random.default_rng(8)
        sigma = rng.uniform(0.01, 0.3, 200_000)
        error = np.abs(rng.laplace(0, 1 / np.sqrt(2), sigma.size)) * 3 * np.hypot(sigma, 0.05)
        factor, floor = level(error, sigma)
        self.assertAlmostEqual(factor, 3, delta=0.1)
        self.assertAlmostEqual(floor, 0.15, delta=0.02)


class Events(unittest.TestCase):
    """What is measured of a mirrored event is what a mirrored satellite measures of it."""

    def test_lines_of_sight_stay_what_they_are(self):
        rng = np.random.default_rng(5)
        x, t = rng.standard_normal((2, 25, 8, 8)), rng.standard_normal((2, 6, 8, 8))
        for track in range(2):
            x[:, track] = sum(x[:, 4 + 3 * track + c] * t[:, c] for c in range(3))
        # The ascending satellite stands in the west.
        x[:, 4], x[:, 7] = -abs(x[:, 4]), abs(x[:, 7])
        for track in range(2):
            x[:, track] = sum(x[:, 4 + 3 * track + c] * t[:, c] for c in range(3))
        t[:, 3:] = x[:, 19:22]
        for east_west, north_south in [(0, 0), (1, 0), (0, 1), (1, 1)]:
            a, b = mirrored(x.copy(), t.copy(), east_west, north_south)
            for track in range(2):
                np.testing.assert_allclose(a[:, track], sum(a[:, 4 + 3 * track + c] * b[:, c] for c in range(3)), atol=1e-12)
            self.assertTrue((a[:, 4] < 0).all() and (a[:, 7] > 0).all())
            np.testing.assert_array_equal(a[:, 19:22], b[:, 3:])
            sign = np.array([(-1) ** east_west, (-1) ** north_south, 1])
            flipped = x[:, 15:18, ::(-1) ** north_south, ::(-1) ** east_west]
            np.testing.assert_array_equal(a[:, 15:18], flipped * sign[:, None, None])
            np.testing.assert_array_equal(a[:, 22:], x[:, 22:, ::(-1) ** north_south, ::(-1) ** east_west])

    def test_similarity_is_the_published_one(self):
        folder = HERE.parents[1] / "shared/reference"
        if not (folder / "ssim_expected.csv").exists():
            self.skipTest("no reference files")
        lines = (folder / "ssim_expected.csv").read_text().splitlines()
        wanted = next(float(line.split(",")[1]) for line in lines if line.startswith("mssim_valid_windows"))
        truth, estimate = (np.loadtxt(folder / f"ssim_{n}.csv", delimiter=",") for n in ("truth", "estimate"))
        self.assertAlmostEqual(ssim(estimate, truth), wanted, delta=1e-9)


@unittest.skipUnless(torch, "PyTorch is not installed")
class Networks(unittest.TestCase):
    # FlowNetS 38.7 M and FlowNetSD 45.4 M are the papers' numbers, GeoFlowNet-SAR 5.08 M the seed's.
    PARAMETERS = {"flownet-s": 38.7, "flownet-sd": 45.4, "strainnet": 38.7, "geoflownet-sar": 5.08}

    def test_full_width_has_the_published_number_of_parameters(self):
        from models import build

        for name, millions in self.PARAMETERS.items():
            count = sum(p.numel() for p in build(name).parameters())
            self.assertAlmostEqual(count / 1e6, millions, delta=0.1, msg=name)

    def test_outputs_have_the_images_size(self):
        from models import MODELS, build

        for name in MODELS:
            net = build(name, 4).eval()
            if name.startswith("cnn4l"):
                self.assertEqual(net(torch.randn(3, 2, net.window, net.window)).shape, (3, 2), name)
                continue
            radar = name.startswith("insar-gnss")
            channels = 25 if radar else 48 if name.startswith("flk") else 2
            out = net(torch.randn(1, channels, 64, 128))
            for plane in out if isinstance(out, tuple) else [out]:
                self.assertEqual(plane.shape, (1, 3 if radar else 2, 64, 128), name)

    def test_images_reach_the_end_of_deep_networks(self):
        from models import build

        torch.manual_seed(1)
        for name in ("flownet-s", "flownet-sd", "strainnet"):
            net = build(name, 8).eval()
            seen = []
            net.encoder[-1].register_forward_hook(lambda _, __, out: seen.append(out.std().item()))
            net(torch.randn(1, 2, 128, 128))
            self.assertTrue(0.05 < seen[0] < 5, f"{name}: {seen}")

    def test_the_joint_inversion_has_the_layers_of_the_paper(self):
        from models import build

        net = build("insar-gnss-cnn")
        count = lambda part: sum(isinstance(m, torch.nn.Conv2d) for m in part.modules())
        self.assertEqual([count(net.insar), count(net.gnss), count(net)], [10, 11, 25])

    def test_insar_gnss_begins_close_to_the_classical_solution(self):
        from models import build

        torch.manual_seed(1)
        x = torch.randn(2, 25, 64, 64)
        u, _ = build("insar-gnss").eval()(x)
        change = (u - x[:, 19:22]).square().mean() / x[:, 19:22].square().mean()
        self.assertLess(change.item(), 0.2)

    def test_training_can_go_on_from_a_shipped_file(self):
        import weights
        from models import build

        for name, width in (("flk", 16), ("flk-sar", 16), ("flk-slc", 16), ("cnn4l-16", 16)):
            net = build(name, width)
            net.load_state_dict(weights.read(HERE.parent / "models" / f"{name}.onnx", net))
            stored = np.load(HERE.parent / "models/parity" / f"{name}.npz")
            with torch.no_grad():
                x = torch.from_numpy(stored["features" if name.startswith("flk") else "pair"]).float()
                found = net.eval()(x)
            found = x[:, 4:6] + found[0] if name.startswith("flk") else found
            np.testing.assert_allclose(found, stored["displacement"], atol=1e-5)
        with self.assertRaises(SystemExit):
            weights.read(HERE.parent / "models/flk.onnx", build("flk", 8))

    def test_flk_begins_as_the_dense_method(self):
        from models import build

        torch.manual_seed(1)
        f = 0.1 * torch.randn(1, 48, 64, 64)
        correction, _ = build("flk").eval()(f)
        self.assertLess(correction.abs().mean().item(), 0.05)


@unittest.skipUnless(onnxruntime, "ONNX Runtime is not installed")
class Parity(unittest.TestCase):
    def test_shipped_files_give_the_stored_outputs(self):
        stored = sorted((HERE.parent / "models/parity").glob("*.npz"))
        self.assertTrue(stored)
        for path in stored:
            session = onnxruntime.InferenceSession(
                str(HERE.parent / "models" / f"{path.stem}.onnx"), providers=["CPUExecutionProvider"])
            arrays = np.load(path)
            inputs = {i.name: arrays[i.name].astype(np.float32) for i in session.get_inputs()}
            for output, got in zip(session.get_outputs(), session.run(None, inputs)):
                self.assertLess(np.abs(got - arrays[output.name]).max(), 1e-4, f"{path.stem} {output.name}")


@unittest.skipUnless(torch and library().exists(), "PyTorch or the library is not there")
class Smoke(unittest.TestCase):
    def test_a_short_training_improves_on_its_own_start(self):
        with tempfile.TemporaryDirectory() as work:
            subprocess.run([sys.executable, HERE / "run.py", "flk", "--preset", "smoke", "--work", work], check=True,
                           stdout=subprocess.DEVNULL, env={**os.environ, "OMP_WAIT_POLICY": "passive"})
            log = json.loads((Path(work) / "smoke/run-flk/log.json").read_text())
        first, last = log["validation"][0]["mae"], log["validation"][-1]["mae"]
        self.assertLess(last, first)


if __name__ == "__main__":
    unittest.main()
