"""PyTorch as a system of the benchmark. The flags are channels_last, compile and bf16."""

import os

import torch
import torchvision
from serve import parse_arguments, serve
from torch import nn
from torch.nn import functional as F
from torchvision.models.resnet import BasicBlock
from torchvision.transforms import v2

workload, flags = parse_arguments()
batch, (height, width, channels) = workload["batch"], workload["image"]
layout = torch.channels_last if "channels_last" in flags else torch.contiguous_format


def resnet18():
    model = torchvision.models.resnet18(num_classes=10)
    model.conv1 = nn.Conv2d(3, 64, 3, padding=1, bias=False)
    model.maxpool = nn.Identity()
    return model


class OptionA(nn.Module):
    """Shortcut of every second pixel, padded with channels of zeros."""

    def forward(self, x):
        return F.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, 0, x.shape[1]))


def resnet20():
    blocks, in_channels = [], 16
    for out_channels in (16, 32, 64):
        for _ in range(3):
            changes = in_channels != out_channels
            blocks.append(BasicBlock(in_channels, out_channels, 2 if changes else 1, OptionA() if changes else None))
            in_channels = out_channels
    stem = [nn.Conv2d(1, 16, 3, padding=1, bias=False), nn.BatchNorm2d(16), nn.ReLU(inplace=True)]
    return nn.Sequential(*stem, *blocks, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, 10))


def conv(in_channels, out_channels, size, **options):
    return [nn.Conv2d(in_channels, out_channels, size, **options), nn.ReLU(inplace=True)]


def linears(*sizes, rate=0.0):
    layers = [nn.Flatten()]
    for in_channels, out_channels in zip(sizes[:-2], sizes[1:-1]):
        layers += [nn.Linear(in_channels, out_channels), nn.ReLU(inplace=True)] + ([nn.Dropout(rate)] if rate else [])
    return [*layers, nn.Linear(sizes[-2], sizes[-1])]


def alexnet():
    return nn.Sequential(
        *conv(1, 96, 11, stride=4, padding=1),
        nn.MaxPool2d(3, 2),
        *conv(96, 256, 5, padding=2),
        nn.MaxPool2d(3, 2),
        *conv(256, 384, 3, padding=1),
        *conv(384, 384, 3, padding=1),
        *conv(384, 256, 3, padding=1),
        nn.MaxPool2d(3, 2),
        *linears(6400, 4096, 4096, 10, rate=0.5),
    )


def vgg11():
    layers, in_channels = [], 1
    for convolutions, out_channels in [(1, 32), (1, 64), (2, 128), (2, 256), (2, 256)]:
        for _ in range(convolutions):
            layers += conv(in_channels, out_channels, 3, padding=1)
            in_channels = out_channels
        layers.append(nn.MaxPool2d(2))
    return nn.Sequential(*layers, *linears(256 * 7 * 7, 2048, 2048, 10, rate=0.5))


def lenet():
    return nn.Sequential(
        *conv(1, 6, 5, padding=2), nn.MaxPool2d(2), *conv(6, 16, 5), nn.MaxPool2d(2), *linears(400, 120, 84, 10)
    )


def unit(in_channels, out_channels, *pool):
    convolution = nn.Conv2d(in_channels, out_channels, 3, padding=1, bias=False)
    return [convolution, *pool, nn.BatchNorm2d(out_channels), nn.ReLU(inplace=True)]


def lesson15():
    layers = unit(1, 16)
    for in_channels, out_channels in [(16, 32), (32, 96), (96, 256)]:
        layers += unit(in_channels, out_channels, nn.MaxPool2d(2)) + unit(out_channels, out_channels)
    return nn.Sequential(*layers, nn.MaxPool2d(3), *linears(256, 10))


networks = {
    "resnet18": resnet18,
    "resnet20": resnet20,
    "resnet50": lambda: torchvision.models.resnet50(num_classes=10),
    "alexnet": alexnet,
    "vgg11": vgg11,
    "lenet": lenet,
    "lesson15": lesson15,
}
parameters = 0


def build():
    global parameters
    model = networks[workload["network"]]().to(memory_format=layout)
    parameters = sum(p.numel() for p in model.parameters())
    return model


def noise():
    images = torch.rand(batch, channels, height, width).to(memory_format=layout)
    return images, torch.randint(10, (batch,))


def autocast():
    return torch.autocast("cpu", dtype=torch.bfloat16, enabled="bf16" in flags)


def compiled(model):
    return torch.compile(model) if "compile" in flags else model


def train():
    model = build()
    optimizer = torch.optim.SGD(model.parameters(), workload["learningRate"], momentum=0.9)
    run = compiled(model)
    images, labels = noise()

    def step():
        optimizer.zero_grad()
        with autocast():
            loss = F.cross_entropy(run(images), labels)
        loss.backward()
        optimizer.step()
        return loss.item()

    return step


def infer():
    run = compiled(build().eval())
    images, _ = noise()

    def step():
        with torch.inference_mode(), autocast():
            return run(images).float().numpy()

    return step


class Noise(torch.utils.data.Dataset):
    transform = v2.Compose([
        v2.RandomCrop(height, padding=4),
        v2.RandomHorizontalFlip(),
        v2.ToDtype(torch.float32, scale=True),
        v2.Normalize([0.5] * channels, [0.5] * channels),
    ])

    def __init__(self, count):
        self.images = torch.randint(256, (count, channels, height, width), dtype=torch.uint8)
        self.labels = torch.randint(10, (count,))

    def __len__(self):
        return len(self.images)

    def __getitem__(self, index):
        return self.transform(self.images[index]), self.labels[index]


def epoch():
    loader = torch.utils.data.DataLoader(
        Noise(60_000), batch_size=batch, shuffle=True, num_workers=os.cpu_count(), persistent_workers=True
    )

    def step():
        for _ in loader:
            pass

    return step


# As TensorFlow does. The momentum of inactive units becomes denormal, which is slow.
torch.set_flush_denormal(True)
serve(
    f"PyTorch {torch.__version__}",
    {"train": train, "infer": infer, "epoch": epoch},
    lambda: parameters,
)
