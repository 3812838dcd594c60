/**
 * The system of this library: `fit`, `forward` after `foldBatchNorm`, both compiled or not, and
 * `batches`.
 */
import {
  augmentation,
  batches,
  compile,
  compose,
  fit,
  foldBatchNorm,
  ImageDataset,
  type Images,
  normalize,
  Random,
  sgd,
  tidy,
  withPrecision,
} from "resnet-lab";
import { networks } from "./networks.ts";
import { parseArguments, serve } from "./serve.ts";
import { imagesOfEpoch } from "./workloads.ts";

const { workload, flags } = parseArguments();
const precision = flags.includes("bf16") ? "bf16" : "fp32";
const isCompiled = flags.includes("compile");
const [height, width, channels] = workload.image;

/** Makes a data set of noise with random labels. */
function noise(count: number) {
  const random = new Random(0);
  const size = count * height * width * channels;
  return new ImageDataset({
    name: "noise",
    pixels: Uint8Array.from(random.uniform([size], { max: 256 }).dataSync()),
    labels: Uint8Array.from(random.uniform([count], { max: 10 }).dataSync()),
    ...{ height, width, channels, classes: 10, classNames: [..."0123456789"] },
  });
}

let parameters = 0;
function build() {
  const model = networks[workload.network]!();
  parameters = model.parameters().reduce((sum, { size }) => sum + size, 0);
  return model;
}

await serve("ResNet Lab 0.1.0", {
  train() {
    const model = build();
    const optimizer = sgd(model.parameters(), {
      learningRate: workload.learningRate,
      momentum: 0.9,
    });
    const options = {
      optimizer,
      epochs: 1e6,
      batchSize: workload.batch,
      precision,
      compile: isCompiled,
    } as const;
    const training = fit(model, noise(4 * workload.batch), options);
    return async (steps) => {
      while (steps > 0) {
        const { value } = await training.next();
        if (value?.kind === "step") steps--;
      }
    };
  },
  infer() {
    const model = build();
    foldBatchNorm(model, workload.image);
    const images = noise(workload.batch).images();
    const forward = (x: Images) => withPrecision(precision, () => model.forward(x));
    const predict = isCompiled ? compile(forward) : forward;
    return (steps) => {
      for (; steps > 0; steps--) tidy(() => void predict(images).dataSync());
    };
  },
  epoch() {
    const dataset = noise(imagesOfEpoch);
    const transform = compose(
      augmentation.randomCrop({ padding: 4 }),
      augmentation.randomFlip(),
      normalize({ mean: 0.5, standardDeviation: 0.5 }),
    );
    const shuffle = new Random(0);
    return (epochs) => {
      for (; epochs > 0; epochs--) {
        for (using _ of batches(dataset, { batchSize: workload.batch, shuffle, transform }));
      }
    };
  },
}, () => parameters);
