/** The networks of the workloads, as this library builds them. */
import {
  alexnet,
  cifarResnet,
  type Classifier,
  type Images,
  lenet,
  resnet18,
  resnet50,
  vgg,
} from "resnet-lab";

export const networks: Record<string, () => Classifier<Images, 10>> = {
  resnet18: () => resnet18({ stem: "cifar", classes: 10 }),
  resnet20: () => cifarResnet({ depth: 20, inChannels: 1 }),
  resnet50: () => resnet50({ classes: 10 }),
  alexnet: () => alexnet({ variant: "d2l" }),
  vgg11: () => vgg({ architecture: 11, width: 1 / 2, inChannels: 1, classes: 10 }),
  lenet: () => lenet(),
};
