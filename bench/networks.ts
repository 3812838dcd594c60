/** The networks of the workloads, as this library builds them. */
import {
  alexnet,
  type AnyModule,
  batchNorm,
  cifarResnet,
  type Classifier,
  conv2d,
  type Features,
  flatten,
  type Images,
  lenet,
  linear,
  maxPool,
  relu,
  resnet18,
  resnet50,
  Sequential,
  vgg,
} from "resnet-lab";

export const networks: Record<string, () => Classifier<Images, 10>> = {
  resnet18: () => resnet18({ stem: "cifar", classes: 10 }),
  resnet20: () => cifarResnet({ depth: 20, inChannels: 1 }),
  resnet50: () => resnet50({ classes: 10 }),
  alexnet: () => alexnet({ variant: "d2l" }),
  vgg11: () => vgg({ architecture: 11, width: 1 / 2, inChannels: 1, classes: 10 }),
  lenet: () => lenet(),
  lesson15: () =>
    new Sequential<AnyModule[], Images, Features<10>>([
      ...unit(1, 16),
      ...[[16, 32], [32, 96], [96, 256]].flatMap(([from, to]) => [
        ...unit(from!, to!, maxPool({ kernelSize: 2 })),
        ...unit(to!, to!),
      ]),
      ...[maxPool({ kernelSize: 3 }), flatten(), linear(256, 10)],
    ]),
};

function unit(from: number, to: number, ...pool: AnyModule[]): AnyModule[] {
  const convolution = conv2d(from, to, { kernelSize: 3, padding: 1, useBias: false });
  return [convolution, ...pool, batchNorm(to), relu()];
}
