/**
 * The system of tfjs-layers: TensorFlow.js's own layers on the same TensorFlow as this library.
 */
import { createRequire } from "node:module";
import util from "node:util";
import { parseArguments, serve } from "../serve.ts";

// tfjs-node calls two functions that newer runtimes dropped from node:util.
Object.assign(util, { isNullOrUndefined: (value) => value == null, isArray: Array.isArray });
const require = createRequire(import.meta.url);
const tf = require("@tensorflow/tfjs");
const { NodeJSKernelBackend } = require(
  "@tensorflow/tfjs-node-gpu/dist/nodejs_kernel_backend.js",
);
require("@tensorflow/tfjs-node-gpu/dist/register_all_kernels.js");
const backend = new NodeJSKernelBackend(
  require("../../.venv/tfjs_binding.node"),
  "@tensorflow/tfjs-node-gpu",
);
tf.registerBackend("tensorflow", () => backend, 3);
await tf.setBackend("tensorflow");

const { workload: { network, image: [height, width, channels], batch, learningRate } } =
  parseArguments();

/** Layers one after the other. */
function through(x, ...layers) {
  return layers.reduce((x, layer) => layer.apply(x), x);
}

const relu = () => tf.layers.reLU();
const pool = (poolSize, strides = poolSize) => tf.layers.maxPooling2d({ poolSize, strides });
const conv = (filters, kernelSize, strides = 1) =>
  tf.layers.conv2d({
    ...{ filters, kernelSize, strides, padding: "same", useBias: false },
    kernelInitializer: "heNormal",
  });
const convRelu = (
  filters,
  kernelSize,
  options = {},
) =>
  tf.layers.conv2d({
    ...{ filters, kernelSize, activation: "relu", padding: "same", ...options },
    kernelInitializer: "heNormal",
  });
const norm = () => tf.layers.batchNormalization();
const dense = (units, activation) =>
  tf.layers.dense({ units, activation, kernelInitializer: "heNormal" });
const head = () => [
  tf.layers.globalAveragePooling2d({ dataFormat: "channelsLast" }),
  dense(10),
];

/** A block's addition and last relu. */
function add(x, shortcut) {
  return through(tf.layers.add().apply([x, shortcut]), relu());
}

function basicBlock(x, filters, stride, shortcut) {
  const y = through(x, conv(filters, 3, stride), norm(), relu(), conv(filters, 3), norm());
  return add(y, shortcut);
}

function resnet18(x) {
  x = through(x, conv(64, 3), norm(), relu());
  for (const [stage, filters] of [64, 128, 256, 512].entries()) {
    const shortcut = stage === 0 ? x : through(x, conv(filters, 1, 2), norm());
    x = basicBlock(x, filters, stage === 0 ? 1 : 2, shortcut);
    x = basicBlock(x, filters, 1, x);
  }
  return through(x, ...head());
}

/**
 * Every second pixel, with channels of zeros where there are too few: padding of the last axis,
 * under another name.
 */
function optionA(x) {
  return through(
    x,
    tf.layers.averagePooling2d({ poolSize: 1, strides: 2 }),
    tf.layers.zeroPadding2d({ padding: [[0, 0], [0, x.shape[3]]], dataFormat: "channelsFirst" }),
  );
}

function resnet20(x) {
  x = through(x, conv(16, 3), norm(), relu());
  for (const [stage, filters] of [16, 32, 64].entries()) {
    x = basicBlock(x, filters, stage === 0 ? 1 : 2, stage === 0 ? x : optionA(x));
    for (let i = 1; i < 3; i++) x = basicBlock(x, filters, 1, x);
  }
  return through(x, ...head());
}

function resnet50(x) {
  x = through(x, conv(64, 7, 2), norm(), relu());
  x = through(x, tf.layers.maxPooling2d({ poolSize: 3, strides: 2, padding: "same" }));
  for (const [filters, blocks] of [[64, 3], [128, 4], [256, 6], [512, 3]]) {
    for (let i = 0; i < blocks; i++) {
      const stride = i === 0 && filters > 64 ? 2 : 1;
      const first = [conv(filters, 1), norm(), relu()];
      const second = [conv(filters, 3, stride), norm(), relu()];
      const y = through(x, ...first, ...second, conv(4 * filters, 1), norm());
      x = add(y, i === 0 ? through(x, conv(4 * filters, 1, stride), norm()) : x);
    }
  }
  return through(x, ...head());
}

const alexnet = (x) =>
  through(
    x,
    convRelu(96, 11, { strides: 4, padding: "valid" }),
    pool(3, 2),
    convRelu(256, 5),
    pool(3, 2),
    ...[384, 384, 256].map((filters) => convRelu(filters, 3)),
    pool(3, 2),
    tf.layers.flatten(),
    ...hidden(4096),
    dense(10),
  );

const vgg11 = (x) =>
  through(
    x,
    ...[[1, 32], [1, 64], [2, 128], [2, 256], [2, 256]].flatMap((
      [convolutions, filters],
    ) => [...Array.from({ length: convolutions }, () => convRelu(filters, 3)), pool(2)]),
    tf.layers.flatten(),
    ...hidden(2048),
    dense(10),
  );

const hidden = (units) =>
  [1, 2].flatMap(() => [dense(units, "relu"), tf.layers.dropout({ rate: 0.5 })]);

const lenet = (x) =>
  through(
    x,
    convRelu(6, 5),
    pool(2),
    convRelu(16, 5, { padding: "valid" }),
    pool(2),
    tf.layers.flatten(),
    dense(120, "relu"),
    dense(84, "relu"),
    dense(10),
  );

function lesson15(x) {
  x = through(x, conv(16, 3), norm(), relu());
  for (const filters of [32, 96, 256]) {
    x = through(x, conv(filters, 3), pool(2), norm(), relu(), conv(filters, 3), norm(), relu());
  }
  return through(x, pool(3), tf.layers.flatten(), dense(10));
}

const networks = {
  ...{ resnet18, resnet20, resnet50, alexnet, vgg11, lenet, lesson15 },
};

let parameters = 0;
function build() {
  const inputs = tf.input({ shape: [height, width, channels] });
  const model = tf.model({ inputs, outputs: networks[network](inputs) });
  parameters = model.trainableWeights.reduce(
    (sum, { shape }) => sum + shape.reduce((product, side) => product * side, 1),
    0,
  );
  return model;
}

const noise = () => tf.randomUniform([batch, height, width, channels]);

await serve(`tfjs-layers ${tf.version["tfjs-layers"]}`, {
  train() {
    const model = build();
    model.compile({
      optimizer: tf.train.momentum(learningRate, 0.9),
      loss: (labels, logits) => tf.losses.softmaxCrossEntropy(labels, logits),
    });
    const labels = tf.oneHot(tf.randomUniform([batch], 0, 10, "int32"), 10);
    const images = noise();
    return async (steps) => {
      for (; steps > 0; steps--) await model.trainOnBatch(images, labels);
    };
  },
  infer() {
    const model = build();
    const images = noise();
    return (steps) => {
      for (; steps > 0; steps--) {
        tf.tidy(() => void model.predictOnBatch(images).dataSync());
      }
    };
  },
}, () => parameters);
