/**
 * Mean and standard deviation of each channel of the training images of well-known data sets, for
 * pixels from 0 to 1.
 */
export const statistics = {
  /**
   * The figures of Facebook's ResNeXt (facebookresearch/ResNeXt, datasets/cifar10.lua, "computed
   * from entire CIFAR-10 training set": 125.3, 123.0, 113.9 and 63.0, 62.1, 66.7), divided by 255,
   * to one digit more.
   */
  cifar10: { mean: [0.4914, 0.4822, 0.4465], standardDeviation: [0.247, 0.2435, 0.2616] },
  /** Computed from all 60,000 training images, to four digits. */
  fashionMnist: { mean: [0.286], standardDeviation: [0.353] },
  /** The figures of torchvision (torchvision.transforms._presets.ImageClassification) and timm. */
  imagenet: { mean: [0.485, 0.456, 0.406], standardDeviation: [0.229, 0.224, 0.225] },
} as const;
