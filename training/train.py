"""Trains one network in pieces; what is finished is kept and a repeated call goes on.

    python training/train.py MODEL --pool POOL --out RUN [--preset cpu|gpu|smoke] [--budget SECONDS] [--piece SECONDS]

Presets set device, batch and budget: cpu (2 cores, 2.5 h), gpu (25 min), smoke (200 short steps). The schedule follows
the share of the budget that is used (processor seconds on the CPU, wall seconds on a GPU), so a shared machine gets
fewer steps and still a finished schedule; with --steps it follows the count, and equal seeds give equal weights on
equal machines. AdamW, gradients clipped at 1, 3 % warm-up, cosine to 2 %; weights averaged over the last 10 %.
RUN/checkpoint.pt is written each minute; RUN/log.json and RUN/loss.png show the progress; RUN/weights.pt is the end.
"""

import argparse
import json
import math
import time
from pathlib import Path

import torch

import losses
import weights
from augment import translated
from insar_pool import InsarPool
from models import build, module_of
from pool import Pool, WindowPool

PRESETS = {
    "cpu": dict(device="cpu", batch=4, crop=128, budget=9000.0),
    "gpu": dict(device="cuda", batch=64, crop=256, budget=1500.0),
    "smoke": dict(device="cpu", batch=2, crop=96, budget=1e9, steps=200),
}


def schedule(done, peak):
    if done < 0.03:
        return peak * max(done / 0.03, 0.01)
    return peak * (0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * min((done - 0.03) / 0.97, 1))))


def validate(net, pool, device, score=None):
    """Means over the held-out part: absolute error and that near a trace, or what the model's own `score` gives."""
    net.eval()
    sums, counts = [0.0, 0.0, 0.0], [0, 0, 0]
    with torch.no_grad():
        for a, t in pool.validation():
            out = net(a.to(device))
            if score is not None:
                e, near = score(out, t.to(device))
            else:
                if isinstance(out, (list, tuple)) and out[0].shape != t[:, :2].shape:
                    out = out[0]
                e, near = losses.mae(out, t.to(device))
            for i, v in enumerate((e, near)):
                if not math.isnan(v):
                    sums[i], counts[i] = sums[i] + v, counts[i] + 1
    net.train()
    return [s / c if c else None for s, c in zip(sums[:2], counts)]


LABELS = ("all pixels", "within 5 px of a trace", "held-out mean absolute error, px")


def draw(log, path, labels=LABELS):
    try:
        import matplotlib

        matplotlib.use("Agg")
        import matplotlib.pyplot as plt
    except ImportError:
        return
    figure, axes = plt.subplots(1, 2, figsize=(9, 3.2), layout="constrained")
    axes[0].plot([r["step"] for r in log["train"]], [r["loss"] for r in log["train"]], lw=0.8)
    axes[0].set(xlabel="step", ylabel="training loss")
    for key, name in (("mae", labels[0]), ("near", labels[1])):
        points = [(r["step"], r[key]) for r in log["validation"] if r[key] is not None]
        if points:
            axes[1].plot(*zip(*points), marker=".", label=name)
    axes[1].set(xlabel="step", ylabel=labels[2], yscale="log")
    axes[1].legend()
    figure.savefig(path, dpi=110)
    plt.close(figure)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("--pool", required=True)
    parser.add_argument("--out", required=True)
    parser.add_argument("--preset", choices=PRESETS, default="cpu")
    parser.add_argument("--budget", type=float, help="seconds in all")
    parser.add_argument("--piece", type=float, default=1e9, help="seconds of this call (wall)")
    parser.add_argument("--steps", type=int, help="schedule by this count instead of the budget")
    parser.add_argument("--width", type=int, help="channels, default the paper's")
    parser.add_argument("--rate", type=float, help="largest rate [default: the preset's, else 1.5e-3]")
    parser.add_argument("--batch", type=int)
    parser.add_argument("--crop", type=int)
    parser.add_argument("--start", help="weights to begin with: of a run (weights.pt) or an exported network (.onnx), e.g. of another sensor")
    parser.add_argument("--hold-out", type=int, default=2, help="shards for validation")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--translations", type=float, metavar="SHARE",
                        help="begin with this share of the budget on images of the pool that are displaced as a whole (networks "
                             "that see pairs of images) [default: the preset's, else 0]")
    parser.add_argument("--absolute", action="store_true", help="the absolute error from the beginning")
    parser.add_argument("--clock", choices=["processor", "wall"], help="what the budget counts [default: processor on the CPU]")
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    preset = PRESETS[args.preset] | getattr(module_of(args.model), "PRESETS", {}).get(args.preset, {})
    budget, steps = args.budget or preset["budget"], args.steps or preset.get("steps")
    rate = preset.get("rate", 1.5e-3) if args.rate is None else args.rate
    translations = preset.get("translations", 0.0) if args.translations is None else args.translations
    device = torch.device(preset["device"])
    torch.set_num_threads(args.threads)
    torch.manual_seed(args.seed)
    out = Path(args.out)
    out.mkdir(parents=True, exist_ok=True)

    net = build(args.model, args.width).to(device)
    if args.start:
        net.load_state_dict(weights.read(args.start, net))
    module = module_of(args.model)
    loss_of = getattr(module, "loss", losses.robust)
    optimiser = torch.optim.AdamW(net.parameters(), lr=rate, weight_decay=getattr(module, "DECAY", 1e-4))
    average, state = None, dict(step=0, used=0.0, samples=0)
    log = dict(model=args.model, preset=args.preset, seed=args.seed, width=args.width, train=[], validation=[])
    if (out / "checkpoint.pt").exists():
        saved = torch.load(out / "checkpoint.pt", map_location=device, weights_only=False)
        net.load_state_dict(saved["weights"])
        optimiser.load_state_dict(saved["optimiser"])
        average, state, log = saved["average"], saved["state"], saved["log"]
    kind = getattr(module, "KIND")
    score, labels = getattr(module, "score", None), getattr(module, "LABELS", LABELS)
    if kind == "insar_gnss":
        pool = InsarPool(args.pool, [args.seed, state["step"]])
    elif kind == "windows":
        pool = WindowPool(args.pool, [args.seed, state["step"]], net.window, net.smooth, args.hold_out)
    else:
        pool = Pool(args.pool, kind, [args.seed, state["step"]], args.crop or preset["crop"], args.hold_out)

    if (args.clock or ("wall" if device.type == "cuda" else "processor")) == "wall":
        clock = time.monotonic
    else:
        clock = time.process_time
    began, wall, used = clock(), time.monotonic(), state["used"]
    last_save, recent = time.monotonic(), []
    done = lambda: (state["step"] / steps) if steps else min((used + clock() - began) / budget, 1.0)

    def save():
        state["used"] = used + clock() - began
        torch.save(dict(weights=net.state_dict(), optimiser=optimiser.state_dict(), average=average, state=state, log=log),
                   out / "checkpoint.tmp")
        (out / "checkpoint.tmp").rename(out / "checkpoint.pt")
        (out / "log.json").write_text(json.dumps(log))
        draw(log, out / "loss.png", labels)

    def look():
        mae, near = validate(net, pool, device, score)
        log["validation"].append(dict(step=state["step"], used=used + clock() - began, mae=mae, near=near))
        print(f"{args.model} step {state['step']} ({100 * done():.0f} %, {used + clock() - began:.0f} s): "
              f"{labels[2]}: {mae:.5f} {labels[0]}, {near if near is None else round(near, 5)} {labels[1]}", flush=True)

    if state["step"] == 0:
        look()
    next_look = time.monotonic() + 180
    while done() < 1 and time.monotonic() - wall < args.piece:
        share = done()
        for group in optimiser.param_groups:
            group["lr"] = schedule(share, rate)
        a, t = pool.batch(args.batch or preset["batch"])
        if share < translations:
            pairs, truth = translated(a[:, 0].numpy(), pool.rng)
            a, t = torch.from_numpy(pairs), torch.from_numpy(truth)
        a, t = a.to(device), t.to(device)
        loss = loss_of(net(a), t, 1.0 if args.absolute else share)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        norm = torch.nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        if torch.isfinite(norm):
            optimiser.step()
        state["step"] += 1
        state["samples"] += len(a)
        recent.append(loss.item())
        if share > 0.9:
            with torch.no_grad():
                now = {k: v.detach().clone() for k, v in net.state_dict().items()}
                if average is None:
                    average = dict(n=1, weights=now)
                else:
                    average["n"] += 1
                    for k, v in average["weights"].items():
                        if v.is_floating_point():
                            v += (now[k] - v) / average["n"]
                        else:
                            v.copy_(now[k])
        if len(recent) == 20:
            log["train"].append(dict(step=state["step"], loss=sum(recent) / 20, rate=schedule(share, rate)))
            recent = []
        if time.monotonic() - last_save > 60:
            pool.look()
            save()
            last_save = time.monotonic()
        if time.monotonic() > next_look:
            look()
            next_look = time.monotonic() + 180
    save()
    if done() >= 1 and not (out / "weights.pt").exists():
        if average is not None:
            net.load_state_dict(average["weights"])
        look()
        facts = dict(model=args.model, width=args.width, seed=args.seed, **state, preset=args.preset)
        if kind == "features":
            facts["front_end"] = pool.front_end
        torch.save(dict(weights=net.state_dict(), facts=facts), out / "weights.pt")
        save()


if __name__ == "__main__":
    main()
