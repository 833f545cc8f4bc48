"""Pairs over a Dask cluster of two processes, one of which is killed on the way: all there, the bits of one machine."""

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
from distributed import Client, LocalCluster

import shiftmap
import shiftmap.dask

OPTIONS = dict(window=16, step=4, search=3)


def write(path, image):
    image.tofile(path.with_suffix(".img"))
    path.with_suffix(".hdr").write_text(
        f"ENVI\nsamples = {image.shape[1]}\nlines = {image.shape[0]}\nbands = 1\ndata type = 4\ninterleave = bsq\n"
        "byte order = 0\nmap info = {UTM, 1, 1, 500000, 4000000, 10, 10, 12, North, WGS-84}\n")
    subprocess.run(["gdal_translate", "-q", path.with_suffix(".img"), path], check=True)


def bands(path):
    out = Path(path).with_suffix(".raw")
    subprocess.run(["gdal_translate", "-q", "-of", "ENVI", "-co", "INTERLEAVE=BSQ", path, out], check=True)
    return np.fromfile(out, np.uint32)


def main(folder):
    assert shiftmap.dask.regions((1000, 600), 512) == [
        (0, 0, 512, 600), (512, 0, 488, 600)], shiftmap.dask.regions((1000, 600), 512)
    random = np.random.default_rng(5)
    scene = random.normal(1000, 200, (1040, 1110)).astype(np.float32)
    scene = (scene + np.roll(scene, 1, 0) + np.roll(scene, 1, 1)) / 3
    scenes = [folder / f"{name}.tif" for name in "abc"]
    for k, path in enumerate(scenes):
        noise = random.normal(0, 10, (1030, 1100)).astype(np.float32)
        write(path, scene[k : k + 1030, 2 * k : 2 * k + 1100] + noise)
    pairs = {"ab": (scenes[0], scenes[1]), "bc": (scenes[1], scenes[2])}
    pairs = {k: tuple(map(str, v)) for k, v in pairs.items()}
    with LocalCluster(n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None) as cluster, \
            Client(cluster) as client:
        told, killed = [], []

        def progress(fraction, message):
            told.append((fraction, message))
            if len(told) == 3 and not killed:
                victim = next(iter(cluster.workers.values())).pid
                killed.append(victim)
                os.kill(victim, signal.SIGKILL)

        maps = shiftmap.dask.displacement(pairs, folder / "maps", client, side=512, progress=progress, **OPTIONS)
        assert killed and [m.name for m in maps] == ["ab.tif", "bc.tif"], (killed, maps)
        assert told[-1][0] == 1 and all(a <= b for (a, _), (b, _) in zip(told, told[1:])), told
        assert sorted(os.listdir(folder / "maps")) == ["ab.tif", "bc.tif"], os.listdir(folder / "maps")
        for name, (pre, post) in pairs.items():
            alone = folder / f"{name}-alone.tif"
            shiftmap.displacement(pre, post, str(alone), threads=1, **OPTIONS)
            assert np.array_equal(bands(alone), bands(folder / f"maps/{name}.tif")), f"{name}: other bits"
        info = subprocess.run(["gdalinfo", folder / "maps/ab.tif"], check=True, capture_output=True, text=True).stdout
        for text in ("LAYOUT=COG", "SHIFTMAP_METHOD=lsm", "Description = East displacement", "Unit Type: m"):
            assert text in info, info
        assert "REGION" not in info, info

        # What is there is not measured again; what a stop left is completed.
        written = [m.stat().st_mtime_ns for m in maps]
        assert shiftmap.dask.displacement(pairs, folder / "maps", client, side=512, **OPTIONS) == maps
        assert [m.stat().st_mtime_ns for m in maps] == written
        stop = lambda fraction, message: fraction < 0.3
        try:
            shiftmap.dask.displacement([pairs["ab"]], folder / "stopped", client, side=512, progress=stop, **OPTIONS)
            raise AssertionError("was not stopped")
        except shiftmap.Cancelled:
            left = list((folder / "stopped").glob(".a_b.parts/*.tif"))
            assert left and not (folder / "stopped/a_b.tif").exists(), left
        try:
            shiftmap.dask.displacement([pairs["ab"]], folder / "stopped", client, side=512, **{**OPTIONS, "window": 32})
            raise AssertionError("mixed two runs")
        except ValueError as error:
            assert "remove it to start anew" in str(error), error
        out = shiftmap.dask.displacement([pairs["ab"]], folder / "stopped", client, side=512, **OPTIONS)
        assert np.array_equal(bands(folder / "ab-alone.tif"), bands(out[0]))
        try:
            shiftmap.dask.displacement([("x/a.tif", "x/b.tif"), ("y/a.tif", "y/b.tif")], folder / "wrong", client)
            raise AssertionError("one of two maps of the same name was lost")
        except ValueError as error:
            assert "same names" in str(error), error
        for wrong, kind in [(dict(window=3), shiftmap.Error), (dict(side=500), ValueError), (dict(format="XYZ"), ValueError)]:
            try:
                shiftmap.dask.displacement([pairs["ab"]], folder / "wrong", client, **{**OPTIONS, "retries": 0, **wrong})
                raise AssertionError(f"no {kind} for {wrong}")
            except kind:
                pass
        # The scheduler's array and its merge.
        shell = Path(sys.argv[2])
        options = " ".join(f"--{k} {v}" for k, v in OPTIONS.items())
        env = {**os.environ, "SIDE": "512", "SHIFTMAP_OPTIONS": options, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
        count = subprocess.run([shell, "count", pairs["ab"][0]], check=True, capture_output=True, text=True, env=env).stdout
        for k in range(int(count) + 1):
            task = {**env, "SLURM_ARRAY_TASK_ID": str(k)}
            subprocess.run([shell, "measure", *pairs["ab"], folder / "array"], check=True, env=task)
        subprocess.run([shell, "merge", folder / "array", folder / "array.vrt"], check=True, env=env)
        assert np.array_equal(bands(folder / "ab-alone.tif"), bands(folder / "array.vrt"))
        if shutil.which("parallel"):
            script = shell.with_name("parallel.sh")
            subprocess.run([script, *pairs["ab"], folder / "parallel.vrt"], check=True, env=env)
            assert np.array_equal(bands(folder / "ab-alone.tif"), bands(folder / "parallel.vrt"))
        else:
            print("skipped: parallel is not installed")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
