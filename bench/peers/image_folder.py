"""ResNet-18 at 64 × 64 on an image folder: torchvision's ImageFolder with a DataLoader, and the same
pictures in memory, in turns. Started by bench/lazy_images.ts.

    python bench/peers/image_folder.py FOLDER STEPS BATCH
"""

import resource
import statistics
import sys
import time

import torch
from torch.utils.data import DataLoader, Subset, TensorDataset
from torchvision import models
from torchvision.datasets import ImageFolder
from torchvision.transforms import CenterCrop, Compose, Resize, ToTensor

folder, steps, batch = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
TURN, UNTIMED, PER_CLASS = 20, 4, 6

torch.manual_seed(1)
everything = ImageFolder(folder, Compose([Resize(64), CenterCrop(64), ToTensor()]))
seen, chosen = {}, []
for i, label in enumerate(everything.targets):
    seen[label] = seen.get(label, 0) + 1
    if seen[label] <= PER_CLASS:
        chosen.append(i)
lazy = Subset(everything, chosen)
pictures = TensorDataset(
    torch.stack([lazy[i][0] for i in range(len(lazy))]),
    torch.tensor([everything.targets[i] for i in chosen]),
)


def forever(loader):
    while True:
        yield from loader


def training_on(data, workers):
    options = {"num_workers": workers, "persistent_workers": workers > 0}
    loader = forever(DataLoader(data, batch, shuffle=True, drop_last=True, **options))
    model = models.resnet18(num_classes=len(everything.classes))
    model = model.to(memory_format=torch.channels_last)
    optimizer = torch.optim.Adam(model.parameters(), 1e-3)

    def step():
        start = time.perf_counter()
        images, labels = next(loader)
        images = images.to(memory_format=torch.channels_last)
        loss = torch.nn.functional.cross_entropy(model(images), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        loss.item()
        return time.perf_counter() - start

    return step


sets = [training_on(lazy, 1), training_on(pictures, 0)]
for step in sets:
    for _ in range(3):
        step()
ratios, times = [], ([], [])
for _ in range(max(1, steps // TURN)):
    turn = []
    for own, step in zip(times, sets):
        timed = [step() for _ in range(TURN)][UNTIMED:]
        own.extend(timed)
        turn.append(sum(timed))
    ratios.append(turn[1] / turn[0])
rates = [batch * len(own) / sum(own) for own in times]
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
print(
    f"PyTorch {torch.__version__}, DataLoader with 1 worker: {rates[0]:.1f} pictures a second from the disk, "
    f"{rates[1]:.1f} in memory; median ratio {statistics.median(ratios):.3f}; "
    f"peak {peak:.0f} MiB without the worker"
)
