/**
 * Tests that every public function refuses an option that does not exist, and options that are no
 * object.
 *
 * `deno doc` lists the parameters that take objects with named properties. Each of them needs a row
 * in PLACES, so no new function is forgotten.
 */
import assert from "node:assert/strict";
import * as lib from "resnet-lab";
import { LazyImageDataset } from "../lib/data/lazy_images.ts";
import { NetworkComparison } from "../lib/notebook/network_comparison.ts";
import { isTensor } from "../lib/tensor/internal.ts";

/** The types with named properties that are no options, with the reason. */
const VALUES: Readonly<Record<string, string>> = {
  Dataset: "data, possibly of the caller's own class",
  KernelTrace: "what traceKernels gives",
  Layout: "plotly's",
  Optimizer: "an object with methods, possibly of the caller's own class",
  OptimizerState: "a result of Optimizer.state",
  SeedGroup: "a row of a Comparison, or other numbers with their mean and interval",
  SummaryRow: "a result of summary",
  "fit 2.checkpoint": "may be a string too; tests/train/checkpoint_test.ts refuses the others",
  "trainAndEvaluate 3.checkpoint": "that of fit",
  "findLearningRate 2.checkpoint": "not an option: it is left out of those of fit",
  "compareNetworks 0.checkpoint": "not an option: it is left out of those of trainAndEvaluate",
  Trace: "plotly's",
  "Sweep.run 0": "made by the task sweep",
  "Sweep.run 0.settings": "the caller's own settings",
  Source: "the data of fit: a data set or a generator",
  TrainingHistory: "a history, or a stored one with further measurements",
};

/**
 * Valid options, and a call with them. The call must refuse other options before it does anything.
 */
type Row = readonly [options: object, call: (options: never) => unknown];

const { ops } = lib;
const images = {
  name: "two",
  height: 4,
  width: 4,
  channels: 1,
  classes: 2,
  classNames: ["a", "b"],
  pixels: new Uint8Array(32),
  labels: Uint8Array.of(0, 1),
} as const;
const set = new lib.ImageDataset(images);
const tuned = await lib.tuneEach({ a: 1 }, [1], () => Promise.resolve({ loss: 1 }));
const lazySet = new LazyImageDataset({
  name: "lazy",
  folder: "no such folder",
  files: [0, 0, 1, 1].map((label, i) => ({ file: `${i}.png`, label, size: 1, time: 0 })),
  form: { size: [4, 4], channels: 1 },
  classNames: ["a", "b"],
});
const outcome = { seed: 0, accuracy: 0.9, loss: 0.3, seconds: 1 };
const comparison = new NetworkComparison(
  { net: { learningRate: 0.1, parameters: 1, macs: 1, outcomes: [outcome, outcome] } },
  [{ name: "net", x: [0.1], y: [0.9] }],
  { seeds: [0, 1], learningRates: [0.1], searchSeeds: 1, images: 1, epochs: 1 },
);
const mixed = {
  pictures: { dark: [[0, 0, 0], [0, 0, 0], [0, 0, 0]] },
  attention: { weight: [0, 0, 0, 0], bias: [0, 0, 0, 0] },
};
const image = ops.zeros([1, 4, 4, 1]);
const parameter = lib.variable(ops.zeros([1]));
const layer = lib.globalAveragePool();
const net = lib.sequential(lib.flatten(), lib.linear(16, 2));
const dense = lib.linear(1, 1);
const pushed = {
  networks: { net },
  pictures: set,
  normalize: { mean: 0, standardDeviation: 1 },
};
const sizes = { inChannels: 1, classes: 2, width: 1 / 32 } as const;
const axis = { title: "Loss" };
const statistics = { mean: [0], standardDeviation: [1] };
const groups = [{ parameters: [parameter] }];
const seedGroup = { name: "a", values: [1, 2], mean: 1.5, halfWidth: 1 };
const missing = "no such folder";
const channels = { mean: ops.zeros([1]), variance: ops.ones([1]) };
const { mean } = channels;

const training = () => fitWith({});
const optimizer = () => lib.sgd(net.parameters(), { learningRate: 0.1 });
const contourPlot = (options: lib.ContourPlotOptions) =>
  lib.contourPlot([0, 1], [0, 1], [[0, 1], [2, 3]], options);
const large = ops.zeros([1, 96, 96, 1]);
const google = () => lib.googlenet({ ...sizes, variant: "d2l", auxiliary: true, imageSize: 96 });
const block = () => lib.inception(1, [1, [1, 1], [1, 1], 1]);
const tiny = () => lib.resnet({ block: "basic", stages: [1], channels: 1, ...sizes });

const small: lib.NormalizerOptions = {
  layers: [{
    kernel: Array(9).fill(0),
    weight: [1],
    bias: [0],
    runningMean: [0],
    runningVariance: [1],
  }],
  head: { weight: [1, -1], bias: [0, 0] },
  pictures: ["0f0f", "00ff"],
  labels: [0, 1],
  classNames: ["a", "b"],
  pixels: { mean: 0.5, standardDeviation: 0.5 },
};

const PLACES: Readonly<Record<string, Row>> = {
  // tensor
  "Random.loadState 0": [{ seed: 1, draws: 0 }, (o) => new lib.Random(1).loadState(o)],
  "Random.normal 1": [{ mean: 0 }, (o) => new lib.Random(1).normal([1], o)],
  "Random.uniform 1": [{ min: 0 }, (o) => new lib.Random(1).uniform([1], o)],
  "stages.csv 2": [{ every: "step" }, (o) => lib.stages.csv(training(), "a.csv", o)],
  "stages.earlyStopping 1": [
    { monitor: "trainLoss" },
    (o) => lib.stages.earlyStopping(training(), o),
  ],
  "stages.ema 1": [{ decay: 0.9 }, (o) => lib.stages.ema(training(), o)],
  "stages.lookahead 1": [{ syncPeriod: 5 }, (o) => lib.stages.lookahead(training(), o)],
  "stages.tensorBoard 2": [
    { every: "step" },
    (o) => lib.stages.tensorBoard(training(), "a", o),
  ],
  "interactive.backward 0": [{ formula: "x·x + x" }, (o) => lib.interactive.backward(o)],
  "interactive.kernelMixer 0": [mixed, (o) => lib.interactive.kernelMixer(o)],
  "interactive.kernelMixer 0.attention": [
    mixed.attention,
    (o) => lib.interactive.kernelMixer({ ...mixed, attention: o }),
  ],
  "interactive.kernelWorkshop 0": [{ stride: 2 }, (o) => lib.interactive.kernelWorkshop(o)],
  "interactive.normalizer 0": [small, (o) => lib.interactive.normalizer(o)],
  "interactive.normalizer 0.head": [
    small.head,
    (o) => lib.interactive.normalizer({ ...small, head: o }),
  ],
  "interactive.normalizer 0.layers[]": [
    small.layers[0]!,
    (o) => lib.interactive.normalizer({ ...small, layers: [o] }),
  ],
  "interactive.normalizer 0.pixels": [
    small.pixels,
    (o) => lib.interactive.normalizer({ ...small, pixels: o }),
  ],
  "interactive.inceptionMixer 0": [{ imageSize: 9 }, (o) => lib.interactive.inceptionMixer(o)],
  "interactive.pushedPicture 0": [pushed, (o) => lib.interactive.pushedPicture(o)],
  "interactive.pushedPicture 0.normalize": [
    pushed.normalize,
    (o) => lib.interactive.pushedPicture({ ...pushed, normalize: o }),
  ],
  "interactive.receptiveField 0": [{ imageSize: 9 }, (o) => lib.interactive.receptiveField(o)],
  "interactive.receptiveField 0.layers[]": [
    { kernelSize: 3 },
    (o) => lib.interactive.receptiveField({ layers: [o] }),
  ],
  "interactive.scores 0": [{ target: 1 }, (o) => lib.interactive.scores(o)],
  "interactive.shortcutSwitch 0": [
    { blocks: 1 },
    (o) => lib.interactive.shortcutSwitch(o),
  ],
  "interactive.valley 0": [{ steps: 3 }, (o) => lib.interactive.valley(o)],
  "ops.all 2": [{ keepDims: true }, (o) => ops.all(ops.isFinite(image), [0], o)],
  "ops.any 2": [{ keepDims: true }, (o) => ops.any(ops.isFinite(image), [0], o)],
  "ops.avgPool 1": [{ kernelSize: 1 }, (o) => ops.avgPool(image, o)],
  "ops.batchNormInference 1": [
    { ...channels, weight: mean, bias: mean, epsilon: 1 },
    (o) => ops.batchNormInference(image, o),
  ],
  "ops.batchNormTraining 4": [
    { ...channels, momentum: 0.1 },
    (o) => ops.batchNormTraining(image, mean, mean, 1, o),
  ],
  "ops.conv2d 2": [{ stride: 1 }, (o) => ops.conv2d(image, ops.zeros([1, 1, 1, 1]), o)],
  "ops.localResponseNorm 1": [{ size: 1 }, (o) => ops.localResponseNorm(image, o)],
  "ops.matMul 2": [{ transposeA: true }, (o) => ops.matMul(ops.eye(2), ops.eye(2), o)],
  "ops.max 2": [{ keepDims: true }, (o) => ops.max(image, [0], o)],
  "ops.maxPool 1": [{ kernelSize: 1 }, (o) => ops.maxPool(image, o)],
  "ops.mean 2": [{ keepDims: true }, (o) => ops.mean(image, [0], o)],
  "ops.min 2": [{ keepDims: true }, (o) => ops.min(image, [0], o)],
  "ops.sum 2": [{ keepDims: true }, (o) => ops.sum(image, [0], o)],
  "ops.variance 2": [{ keepDims: true }, (o) => ops.variance(image, [0], o)],
  "variable 1": [{ trainable: true }, (o) => lib.variable(ops.zeros([1]), o)],

  // nn
  "avgPool 0": [{ kernelSize: 1 }, (o) => lib.avgPool(o)],
  "batchNorm 1": [{ epsilon: 1 }, (o) => lib.batchNorm(1, o)],
  "captureActivations 2": [{ training: true }, (o) => lib.captureActivations(net, image, o)],
  "conv2d 2": [{ kernelSize: 1 }, (o) => lib.conv2d(1, 1, o)],
  "dynamicConv2d 2": [{ kernelSize: 1 }, (o) => lib.dynamicConv2d(1, 1, o)],
  "linear 2": [{ useBias: false }, (o) => lib.linear(1, 1, o)],
  "localResponseNorm 0": [{ size: 1 }, (o) => lib.localResponseNorm(o)],
  "lsuv 2": [{ tolerance: 1 }, (o) => lib.lsuv(net, image, o)],
  "maxPool 0": [{ kernelSize: 1 }, (o) => lib.maxPool(o)],
  "new BatchNorm 1": [{ epsilon: 1 }, (o) => new lib.BatchNorm(1, o)],
  "onForward 3": [{ training: true }, (o) => lib.onForward(net, image, () => {}, o)],
  "table 1": [{ digits: 3 }, (o) => lib.table([{ a: 1 }], o)],
  "summary 2": [{ depth: 1 }, (o) => lib.summary(net, [4, 4, 1], o)],
  "BatchNorm.forward 1": [{ training: true }, (o) => lib.batchNorm(1).forward(image, o)],
  "DynamicConv2d.forward 1": [
    { training: true },
    (o) => lib.dynamicConv2d(1, 1, { kernelSize: 1 }).forward(image, o),
  ],
  "KernelAttention.forward 1": [
    { training: true },
    (o) => lib.dynamicConv2d(1, 1, { kernelSize: 1 }).attention.forward(image, o),
  ],
  "Dropout.forward 1": [{ training: true }, (o) => lib.dropout(0.5).forward(image, o)],
  "Module.forward 1": [{ training: true }, (o) => net.forward(image, o)],
  "Parallel.forward 1": [{ training: true }, (o) => lib.parallel(lib.relu()).forward(image, o)],
  "Residual.forward 1": [{ training: true }, (o) => lib.residual(lib.relu()).forward(image, o)],
  "Sequential.forward 1": [{ training: true }, (o) => net.forward(image, o)],

  // models
  "alexnet 0": [{ variant: "d2l" }, (o) => lib.alexnet(o)],
  "basicBlock 2": [{ stride: 1 }, (o) => lib.basicBlock(1, 1, o)],
  "bottleneck 2": [{ stride: 1 }, (o) => lib.bottleneck(1, 1, o)],
  "cifarResnet 0": [{ depth: 8 }, (o) => lib.cifarResnet(o)],
  "googlenet 0": [{ variant: "d2l" }, (o) => lib.googlenet(o)],
  "inception 2": [{ variant: "d2l" }, (o) => lib.inception(1, [1, [1, 1], [1, 1], 1], o)],
  "lenet 0": [{ classes: 2 }, (o) => lib.lenet(o)],
  "nin 0": [{ classes: 2 }, (o) => lib.nin(o)],
  "ninBlock 2": [{ kernelSize: 1 }, (o) => lib.ninBlock(1, 1, o)],
  "resnet 0": [{ block: "basic", stages: [1] }, (o) => lib.resnet(o)],
  "resnet18 0": [{ classes: 2 }, (o) => lib.resnet18(o)],
  "resnet34 0": [{ classes: 2 }, (o) => lib.resnet34(o)],
  "resnet50 0": [{ classes: 2 }, (o) => lib.resnet50(o)],
  "resnet101 0": [{ classes: 2 }, (o) => lib.resnet101(o)],
  "resnet152 0": [{ classes: 2 }, (o) => lib.resnet152(o)],
  "vgg 0": [{ architecture: [[1, 8]] }, (o) => lib.vgg(o)],
  "vggBlock 2": [{ convolutions: 1 }, (o) => lib.vggBlock(1, 1, o)],
  "AlexNet.forward 1": [
    { training: true },
    (o) => lib.alexnet({ variant: "d2l", width: 1 / 64, imageSize: 96 }).forward(large, o),
  ],
  "GoogLeNet.forward 1": [{ training: true }, (o) => google().forward(large, o)],
  "GoogLeNetWithAuxiliary.forwardWithAuxiliary 1": [
    { training: true },
    (o) => google().forwardWithAuxiliary(large, o),
  ],
  "Inception.forward 1": [{ training: true }, (o) => block().forward(image, o)],
  "LeNet.forward 1": [{ training: true }, (o) => lib.lenet().forward(ops.zeros([1, 28, 28, 1]), o)],
  "NiN.forward 1": [{ training: true }, (o) => lib.nin(sizes).forward(large, o)],
  "ResidualBlock.forward 1": [{ training: true }, (o) => lib.basicBlock(1, 1).forward(image, o)],
  "ResNet.forward 1": [{ training: true }, (o) => tiny().forward(image, o)],
  "ResNet.forwardWithEmbedding 1": [
    { training: true },
    (o) => tiny().forwardWithEmbedding(image, o),
  ],
  "VGG.forward 1": [
    { training: true },
    (o) => lib.vgg({ architecture: [[1, 1]], hidden: 1, imageSize: 4, ...sizes }).forward(image, o),
  ],

  // data
  "batches 1": [{ batchSize: 1 }, (o) => lib.batches(set, o)],
  "catsAndDogs 0": [{ size: [8, 8] }, (o) => lib.catsAndDogs(o)],
  "cifar10 0": [{}, (o) => lib.cifar10(o)],
  "augmentation.colorJitter 0": [{ brightness: 0.1 }, (o) => lib.augmentation.colorJitter(o)],
  "augmentation.cutout 0": [{ size: 1 }, (o) => lib.augmentation.cutout(o)],
  "syntheticImages 0": [{ count: 1, seed: 1 }, (o) => lib.syntheticImages(o)],
  "fashionMnist 0": [{ subset: true }, (o) => lib.fashionMnist(o)],
  "imageFolder 1": [{ size: [8, 8] }, (o) => lib.imageFolder(missing, o)],
  "ImageDataset.kFold 1": [{ seed: 1 }, (o) => set.kFold(2, o)],
  "LazyImageDataset.kFold 1": [{ seed: 1 }, (o) => lazySet.kFold(2, o)],
  "LazyImageDataset.split 1": [{ seed: 1 }, (o) => lazySet.split(0.5, o)],
  "readImage 1": [{ size: [8, 8] }, (o) => lib.readImage("none.png", o)],
  "ImageDataset.split 1": [{ seed: 1 }, (o) => set.split(0.5, o)],
  "new ImageDataset 0": [images, (o) => new lib.ImageDataset(o)],
  "normalize 0": [statistics, (o) => lib.normalize(o)],
  "augmentation.randomCrop 0": [{ padding: 1 }, (o) => lib.augmentation.randomCrop(o)],
  "augmentation.randomResizedCrop 0": [
    { size: [4, 4] },
    (o) => lib.augmentation.randomResizedCrop(o),
  ],

  // train
  "adagrad 0[]": [groups[0]!, (o) => lib.adagrad([o], { learningRate: 0.1 })],
  "adagrad 1": [{ learningRate: 0.1 }, (o) => lib.adagrad([parameter], o)],
  "adam 0[]": [groups[0]!, (o) => lib.adam([o], { learningRate: 0.1 })],
  "adam 1": [{ learningRate: 0.1 }, (o) => lib.adam([parameter], o)],
  "adamW 0[]": [groups[0]!, (o) => lib.adamW([o], { learningRate: 0.1 })],
  "adamW 1": [{ learningRate: 0.1 }, (o) => lib.adamW([parameter], o)],
  "rmsProp 0[]": [groups[0]!, (o) => lib.rmsProp([o], { learningRate: 0.1 })],
  "rmsProp 1": [{ learningRate: 0.1 }, (o) => lib.rmsProp([parameter], o)],
  "sgd 0[]": [groups[0]!, (o) => lib.sgd([o], { learningRate: 0.1 })],
  "sgd 1": [{ learningRate: 0.1 }, (o) => lib.sgd([parameter], o)],
  "cosine 0": [{ learningRate: 0.1, steps: 2 }, (o) => lib.cosine(o)],
  "oneCycle 0": [{ maximum: 0.1, steps: 2 }, (o) => lib.oneCycle(o)],
  "stepDecay 0": [{ learningRate: 0.1, at: [1] }, (o) => lib.stepDecay(o)],
  "binaryCrossEntropy 2": [
    { positiveWeights: [1, 2] },
    (o) => lib.binaryCrossEntropy(ops.zeros([1, 2]), ops.zeros([1, 2]), o),
  ],
  "crossEntropy 2": [
    { labelSmoothing: 0.1 },
    (o) => lib.crossEntropy(ops.zeros([1, 2]), ops.tensor([0], [1], "int32"), o),
  ],
  "gradientNorms 3": [
    { loss: lib.crossEntropy },
    (o) => lib.gradientNorms(net, image, ops.tensor([0], [1], "int32"), o),
  ],
  "evaluate 2": [{ batchSize: 1 }, (o) => lib.evaluate(net, set, o)],
  "predict 2": [{ top: 1 }, (o) => lib.predict(net, set, o)],
  "extractFeatures 2": [
    { batchSize: 1 },
    (o) => lib.extractFeatures((x) => layer.forward(x), set, o),
  ],
  "findLearningRate 2": [
    { batchSize: 1, optimizer: optimizer(), seed: 1 },
    (o) => lib.findLearningRate(net, set, o),
  ],
  "fit 2": [
    { optimizer: optimizer(), epochs: 1, batchSize: 1, seed: 1 },
    (o) => lib.fit(net, set, o),
  ],
  "lossSurface 2": [{ points: 3, seed: 1 }, (o) => lib.lossSurface(net, set, o)],

  // weights
  "readPth 1": [{ except: [] }, (o) => lib.readPth(missing, o)],
  "writeGraphModel 3": [
    { softmax: true },
    (o) => lib.writeGraphModel("unused", dense as never, [1, 1, 1], o),
  ],
  "stateDict 1": [{ inputShape: [1] }, (o) => lib.stateDict(dense, o)],
  "loadStateDict 2": [{ except: [] }, (o) => lib.loadStateDict(dense, lib.stateDict(dense), o)],
  "pretrained 1": [{ retries: 0 }, (o) => lib.pretrained("resnet18", o)],

  // plot
  "activationHistograms 1": [{ title: "A" }, (o) => lib.activationHistograms({ a: [1, 2] }, o)],
  "activationHistograms 1.x": [axis, (x) => lib.activationHistograms({ a: [1, 2] }, { x })],
  "barChart 2": [{ x: axis, y: axis }, (o) => lib.barChart(["a"], [1], o)],
  "barChart 2.x": [axis, (x) => lib.barChart(["a"], [1], { x, y: axis })],
  "barChart 2.y": [axis, (y) => lib.barChart(["a"], [1], { x: axis, y })],
  "confusionMatrixPlot 2": [
    { title: "A" },
    (o) => lib.confusionMatrixPlot([[1, 0], [0, 1]], ["a", "b"], o),
  ],
  "contourPlot 3": [{ x: axis, y: axis, value: axis }, contourPlot],
  "contourPlot 3.path": [
    { x: [0], y: [0] },
    (path) => contourPlot({ x: axis, y: axis, value: axis, path }),
  ],
  "contourPlot 3.value": [axis, (value) => contourPlot({ x: axis, y: axis, value })],
  "contourPlot 3.x": [axis, (x) => contourPlot({ x, y: axis, value: axis })],
  "contourPlot 3.y": [axis, (y) => contourPlot({ x: axis, y, value: axis })],
  "featureMaps 2": [{ title: "A" }, (o) => lib.featureMaps([1], [1, 1, 1], o)],
  "filterGrid 2": [{ title: "A" }, (o) => lib.filterGrid([1], [1, 1, 1, 1], o)],
  "graphDiagram 0": [{ nodes: [{ id: "a", label: "a" }], edges: [] }, (o) => lib.graphDiagram(o)],
  "graphDiagram 0.edges[]": [
    { from: "a", to: "a" },
    (o) => lib.graphDiagram({ nodes: [{ id: "a", label: "a" }], edges: [o] }),
  ],
  "graphDiagram 0.nodes[]": [
    { id: "a", label: "a" },
    (o) => lib.graphDiagram({ nodes: [o], edges: [] }),
  ],
  "graphDiagram 1": [
    { title: "A" },
    (o) => lib.graphDiagram({ nodes: [{ id: "a", label: "a" }], edges: [] }, o),
  ],
  "Figure.toPng 0": [{ scale: 1 }, (o) => lib.barChart(["a"], [1], { x: axis, y: axis }).toPng(o)],
  "heatmap 1": [{ x: axis, y: axis, value: axis }, (o) => lib.heatmap([[1]], o)],
  "heatmap 1.value": [axis, (value) => lib.heatmap([[1]], { x: axis, y: axis, value })],
  "heatmap 1.x": [axis, (x) => lib.heatmap([[1]], { x, y: axis, value: axis })],
  "heatmap 1.y": [axis, (y) => lib.heatmap([[1]], { x: axis, y, value: axis })],
  "histogram 1": [{ x: axis }, (o) => lib.histogram([1, 2], o)],
  "histogram 1.x": [axis, (x) => lib.histogram([1, 2], { x })],
  "histogram 1.y": [axis, (y) => lib.histogram([1, 2], { x: axis, y })],
  "imageGrid 2": [{ title: "A" }, (o) => lib.imageGrid([1], [1, 1, 1, 1], o)],
  "lineChart 0[]": [{ name: "a", y: [1, 2] }, (o) => lib.lineChart([o], { x: axis, y: axis })],
  "lineChart 0[].band": [
    { low: [0, 1], high: [2, 3] },
    (band) => lib.lineChart([{ name: "a", y: [1, 2], band }], { x: axis, y: axis }),
  ],
  "lineChart 1": [{ x: axis, y: axis }, (o) => lib.lineChart([{ name: "a", y: [1, 2] }], o)],
  "lineChart 1.x": [axis, (x) => lib.lineChart([{ name: "a", y: [1, 2] }], { x, y: axis })],
  "lineChart 1.y": [axis, (y) => lib.lineChart([{ name: "a", y: [1, 2] }], { x: axis, y })],
  "scatterChart 0[]": [
    { name: "a", x: [1], y: [1] },
    (o) => lib.scatterChart([o], { x: axis, y: axis }),
  ],
  "scatterChart 1": [
    { x: axis, y: axis },
    (o) => lib.scatterChart([{ name: "a", x: [1], y: [1] }], o),
  ],
  "scatterChart 1.x": [
    axis,
    (x) => lib.scatterChart([{ name: "a", x: [1], y: [1] }], { x, y: axis }),
  ],
  "scatterChart 1.y": [
    axis,
    (y) => lib.scatterChart([{ name: "a", x: [1], y: [1] }], { x: axis, y }),
  ],
  "seedChart 1": [{ x: axis }, (o) => lib.seedChart([seedGroup], o)],
  "seedChart 1.x": [axis, (x) => lib.seedChart([seedGroup], { x })],
  "trainingCurves 1": [
    { title: "A" },
    (o) => lib.trainingCurves({ steps: [{ step: 1, loss: 1, learningRate: 1 }], epochs: [] }, o),
  ],

  // notebook
  "tuneEach 3": [
    { seeds: [0, 1], searchSeeds: [1] },
    (o) => lib.tuneEach({ a: 1 }, [1], () => Promise.resolve({ loss: 1 }), o),
  ],
  "TunedContestants.searchChart 0": [
    { range: [0, 1] },
    (o) => tuned.searchChart(o),
  ],
  "compareOverSeeds 0": [
    { contestants: { a: (seed: number) => seed }, seeds: 2 },
    (o) => lib.compareOverSeeds(o),
  ],
  "compareNetworks 0": [
    {
      ...{ contestants: { net: () => net }, train: set, heldOut: set, epochs: 1, batchSize: 1 },
      ...{ learningRates: [0.1], seeds: 2 },
    },
    (o) => lib.compareNetworks(o),
  ],
  "NetworkComparison.searchChart 0": [{ title: "A" }, (o) => comparison.searchChart(o)],
  "addToZoo 0": [
    {
      ...{ network: "a", notebook: 0, accuracies: [0.1, 0.2], parameters: 1, macs: 1 },
      ...{ images: 1, epochs: 1 },
    },
    (o) => lib.addToZoo(o),
  ],
  "timeOf 1": [{ repeats: 1, fastest: true }, (o) => lib.timeOf(() => {}, o)],
  "trainAndEvaluate 3": [
    { epochs: 1, batchSize: 1, learningRate: 0.1 },
    (o) => lib.trainAndEvaluate(net, set, set, o),
  ],
};

/** A type in the output of `deno doc`. */
interface Type {
  readonly kind: string;
  // deno-lint-ignore no-explicit-any -- its shape depends on the kind.
  readonly value: any;
}
interface Parameter {
  readonly tsType?: Type;
  /** The parameter of a default value or of a rest parameter. */
  readonly left?: Parameter;
  readonly arg?: Parameter;
}
/** A position in the source. */
interface Location {
  readonly filename: string;
  readonly line: number;
  readonly col: number;
}
interface Declaration {
  readonly kind: string;
  readonly declarationKind: string;
  readonly location: Location;
  // deno-lint-ignore no-explicit-any -- its shape depends on the kind.
  readonly def: any;
}
interface Documented {
  readonly name: string;
  readonly declarations: readonly Declaration[];
}

/** The types that pass on the properties of their first argument. */
const WRAPPERS = ["Omit", "Pick", "Partial", "Readonly", "Required", "NoInfer"];

/** Lists the TypeScript files in a folder and its subfolders. */
async function sourcesIn(folder: URL): Promise<string[]> {
  const found: string[] = [];
  for await (const { name, isDirectory } of Deno.readDir(folder)) {
    if (isDirectory) found.push(...await sourcesIn(new URL(`${name}/`, folder)));
    else if (/(?<!\.d)\.ts$/.test(name)) found.push(new URL(name, folder).pathname);
  }
  return found;
}

/**
 * Returns the parameters that take objects with named properties, as `name parameter.path`, and
 * their types.
 */
async function placesWithOptions(): Promise<Map<string, string>> {
  const at = (file: string) => new URL(`../lib/${file}`, import.meta.url);
  const files = await sourcesIn(at(""));
  const { stdout } = await new Deno.Command(Deno.execPath(), {
    args: ["doc", "--json", "--private", ...files],
    stderr: "null",
  }).output();
  const { nodes }: { nodes: Record<string, { symbols: readonly Documented[] }> } = JSON.parse(
    new TextDecoder().decode(stdout),
  );
  const types = new Map<string, Declaration>();
  const symbolAt = new Map<string, Documented>();
  const keyOf = ({ filename, line, col }: Location) => `${filename}:${line}:${col}`;
  const all = Object.values(nodes).flatMap(({ symbols }) => symbols)
    .flatMap((symbol) => symbol.declarations.map((declaration) => ({ symbol, declaration })));
  for (const { symbol, declaration } of all) symbolAt.set(keyOf(declaration.location), symbol);
  // If several types have one name, the public one counts, or else an exported one.
  const publicTypes = nodes[at("mod.ts").href]!.symbols.flatMap(({ declarations }) => declarations)
    .map(({ location, def }) => keyOf(def?.target ?? location));
  const rank = ({ location, declarationKind }: Declaration) =>
    publicTypes.includes(keyOf(location)) ? 2 : declarationKind === "export" ? 1 : 0;
  for (const { symbol: { name }, declaration } of all) {
    const before = types.get(name);
    if (!["interface", "typeAlias"].includes(declaration.kind)) continue;
    if (!before || rank(declaration) > rank(before)) types.set(name, declaration);
  }
  const places = new Map<string, string>();

  const visitType = (type: Type | undefined, place: string, seen: readonly string[]): void => {
    if (!type) return;
    const { kind, value } = type;
    const each = (all: readonly Type[]) => all.forEach((one) => visitType(one, place, seen));
    if (kind === "union" || kind === "intersection" || kind === "tuple") each(value);
    if (kind === "array") visitType(value, `${place}[]`, seen);
    if (kind === "parenthesized") visitType(value, place, seen);
    if (kind === "typeOperator") visitType(value.tsType, place, seen);
    if (kind === "conditional") each([value.trueType, value.falseType]);
    if (kind === "typeLiteral") visitObject(value, "an object", place, seen);
    if (kind !== "typeRef") return;
    const name: string = value.typeName;
    if (WRAPPERS.includes(name)) visitType(value.typeParams[0], place, seen);
    const declaration = types.get(name);
    if (!declaration || seen.includes(name) || Object.hasOwn(VALUES, name)) return;
    const { def } = declaration, within = [...seen, name];
    if (declaration.kind === "typeAlias") visitType(def.tsType, place, within);
    else visitObject(def, name, place, within);
  };
  const visitObject = (
    def: Declaration["def"],
    name: string,
    place: string,
    seen: readonly string[],
  ): void => {
    for (const type of def.extends ?? []) visitType(type, place, seen);
    if (def.callSignatures?.length || def.indexSignatures?.length || !def.properties?.length) {
      return;
    }
    places.set(place, name);
    for (const property of def.properties) {
      visitType(property.tsType, `${place}.${property.name}`, seen);
    }
  };
  const visitParameters = (name: string, parameters: readonly Parameter[]): void =>
    parameters.forEach(({ tsType, left, arg }, i) =>
      visitType(tsType ?? left?.tsType ?? arg?.tsType, `${name} ${i}`, [])
    );

  const visit = (
    name: string,
    { declarations }: Documented,
    value: unknown,
    prefix: string,
  ): void => {
    for (const { kind, declarationKind, def } of declarations) {
      if (declarationKind !== "export") continue;
      if (kind === "reference") visit(name, symbolAt.get(keyOf(def.target))!, value, prefix);
      if (kind === "function") visitParameters(prefix + name, def.params);
      if (kind === "class") {
        // A class that is exported as a type alone has no value, and no constructor for users.
        if (!def.isAbstract && value !== undefined) {
          for (const { params } of def.constructors ?? []) {
            visitParameters(`new ${prefix}${name}`, params);
          }
        }
        for (const method of def.methods ?? []) {
          if (method.accessibility) continue;
          visitParameters(`${prefix}${name}.${method.name}`, method.functionDef.params);
        }
      }
      if (kind === "interface") {
        for (const method of def.methods ?? []) {
          visitParameters(`${prefix}${name}.${method.name}`, method.params);
        }
      }
      if (kind === "variable" && typeof value === "function") {
        const signatures = types.get(def.tsType?.value?.typeName)?.def.callSignatures ?? [];
        for (const { params } of signatures) visitParameters(prefix + name, params);
        // deno doc does not know inferred types. The ops with such a type take only tensors.
        if (!def.tsType && prefix === "") places.set(`${prefix}${name} 0`, "an inferred type");
      }
    }
  };
  const symbolsOf = (file: string) => nodes[at(file).href]!.symbols;
  for (const symbol of symbolsOf("mod.ts")) {
    visit(symbol.name, symbol, valueAt(lib, symbol.name), "");
  }
  for (const symbol of symbolsOf("tensor/ops/mod.ts")) {
    visit(symbol.name, symbol, valueAt(ops, symbol.name), "ops.");
  }
  for (const symbol of symbolsOf("data/augmentation.ts")) {
    visit(symbol.name, symbol, valueAt(lib.augmentation, symbol.name), "augmentation.");
  }
  for (const symbol of symbolsOf("train/stages/mod.ts")) {
    visit(symbol.name, symbol, valueAt(lib.stages, symbol.name), "stages.");
  }
  for (const symbol of symbolsOf("interactive/figures.ts")) {
    visit(symbol.name, symbol, valueAt(lib.interactive, symbol.name), "interactive.");
  }
  return places;
}

function valueAt(namespace: object, name: string): unknown {
  return (namespace as Record<string, unknown>)[name];
}

Deno.test("every parameter with options has a row in this test", async () => {
  const places = await placesWithOptions();
  const known = [...Object.keys(PLACES), ...Object.keys(VALUES)];
  assert(places.size > 100, `deno doc found ${places.size} places`);
  const without = [...places].filter(([place]) => !known.includes(place));
  assert.deepEqual(without, [], "add rows to PLACES, or the types to VALUES");
  const gone = Object.keys(PLACES).filter((place) => !places.has(place));
  assert.deepEqual(gone, [], "rows of parameters that do not exist");
});

/** Returns the error that a call throws, rejects with, or throws at the first value. */
async function errorOf(call: () => unknown): Promise<unknown> {
  try {
    const result = call();
    const value: unknown = result instanceof Promise ? await result : result;
    if (isTensor(value) || typeof value !== "object" || value === null) return undefined;
    if (Symbol.iterator in value) (value as Iterable<unknown>)[Symbol.iterator]().next();
    if (Symbol.asyncIterator in value) {
      await (value as AsyncIterable<unknown>)[Symbol.asyncIterator]().next();
    }
  } catch (error) {
    return error;
  }
}

for (const [place, [options, call]] of Object.entries(PLACES)) {
  Deno.test(`${place} refuses an option that does not exist, and options that are no object`, async () => {
    const error = await errorOf(() => call({ ...options, noSuchOption: 1 } as never));
    assert(error instanceof TypeError, `expected a TypeError, found ${error}`);
    assert.match(error.message, /noSuchOption/);
    // normalize() takes the name of a data set, too.
    for (const wrong of [7, ...place === "normalize 0" ? [] : ["fast"], true]) {
      const error = await errorOf(() => call(wrong as never));
      assert(error instanceof TypeError, `expected a TypeError for ${wrong}, found ${error}`);
      assert.match(error.message, /must be|expected/, "the error must be one of ours");
    }
  });
}

const fitWith = (options: object) =>
  lib.fit(net, set, { optimizer: optimizer(), epochs: 1, batchSize: 2, ...options });
/** A word of PyTorch or Keras, a call with it, and the option that the error suggests, if any. */
const WORDS: readonly [word: string, call: (options: object) => unknown, meant?: string][] = [
  ["lr", fitWith, "optimizer"],
  ["clipNorm", fitWith, "maxGradientNorm"],
  ["max_grad_norm", fitWith, "maxGradientNorm"],
  ["callbacks", fitWith],
  ["metrics", fitWith],
  ["accumulate_grad_batches", fitWith, "microBatchSize"],
  ["device", fitWith],
  ["shuffle", fitWith],
  ["params", (options) => lib.sgd([options as never], { learningRate: 1 }), "parameters"],
  ["learningRate", (options) => lib.oneCycle(options as never), "maximum"],
  ["pct_start", (options) => lib.oneCycle(options as never), "rise"],
  ["eta_min", (options) => lib.cosine(options as never), "minimum"],
  ["depth", (options) => lib.vgg(options as never), "architecture"],
  ["layers", (options) => lib.resnet(options as never), "stages"],
  ["blocks", (options) => lib.resnet(options as never), "stages"],
  ["pretrained", (options) => lib.resnet18(options as never)],
  ["std", (options) => lib.normalize(options as never), "standardDeviation"],
  ["labels", (options) => lib.imageGrid([0], [1, 1, 1, 1], options as never), "titles"],
];
for (const [word, call, meant] of WORDS) {
  Deno.test(`an error about the option ${word} suggests ${meant ?? "nothing"}`, () => {
    assert.throws(() => call({ [word]: 1 }), ({ message }: Error) => {
      const [, hint] =
        /there is no option \w+\. (?:Did you mean (.*)\? )?The options are/.exec(message) ?? [];
      assert.equal(hint, meant, message);
      return true;
    });
  });
}
