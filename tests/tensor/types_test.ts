/**
 * Code that the compiler must refuse, each with the reason, and types that it must infer. The code
 * runs where it can, but most of it need not run.
 */
import {
  type Features,
  grad,
  type Images,
  ops,
  type Rank,
  type Scalar,
  type Tensor,
  type Tensor1D,
  type Tensor2D,
  type Tensor3D,
  type Tensor4D,
  tidy,
  valueAndGradients,
  variable,
  type Variable2D,
  withBackend,
} from "resnet-lab";

/** True where two types are the same. */
type SameShape<A, B> = (<T>() => T extends A ? 1 : 2) extends (<T>() => T extends B ? 1 : 2) ? true
  : false;
function is<A, B>(_same: SameShape<A, B>): void {}

declare const vector: Tensor1D, matrix: Tensor2D, cube: Tensor3D, plain: Tensor4D, any: Tensor;
declare const rgb: Images<3>, maps: Images<64>, grey: Images<1>, unknown: Images;
declare const features: Features<10>, weights: Variable2D;

/** Never called: it is compiled only. */
export function refused(): void {
  // @ts-expect-error: a list is a tensor of one axis, not two
  const rank1: Tensor2D = ops.tensor([1, 2]);
  // @ts-expect-error: a flat list under a shape has as many axes as the shape has sizes
  const shaped: Tensor3D = ops.tensor([1, 2, 3, 4], [2, 2]);
  // @ts-expect-error: words are no numbers
  ops.tensor(["1", "2"]);
  // @ts-expect-error: there are no 64-bit floats
  ops.zeros([2], "float64");
  // @ts-expect-error: a shape is a list
  ops.zeros(3);
  // @ts-expect-error: an array that is shaped [2, 3] has two axes
  const made: Tensor3D = ops.ones([2, 3]);
  // @ts-expect-error: reshaping to two sizes gives two axes
  const reshaped: Tensor4D = ops.reshape(plain, [2, -1]);
  // @ts-expect-error: adding matrices gives a matrix
  const sum: Tensor4D = ops.add(matrix, matrix);
  // @ts-expect-error: a broadcast has the axes of the larger operand
  const broadcast: Tensor1D = ops.add(matrix, vector);
  // @ts-expect-error: a matrix product is a matrix
  const product: Tensor4D = ops.matMul(matrix, matrix);
  // @ts-expect-error: images are no matrices
  ops.matMul(plain, matrix);
  // @ts-expect-error: stacks of matrices have three axes
  ops.batchMatMul(matrix, matrix);
  // @ts-expect-error: two of four axes are reduced away
  const means: Tensor4D = ops.mean(plain, [1, 2]);
  // @ts-expect-error: keeping dimensions keeps all four
  const kept: Tensor2D = ops.mean(plain, [1, 2], { keepDims: true });
  // @ts-expect-error: without axes a reduction gives a scalar
  const total: Tensor1D = ops.sum(vector);
  // @ts-expect-error: reduced axes are a list
  ops.sum(matrix, 0);
  // @ts-expect-error: the position of the largest along one axis of a matrix is a vector
  const positions: Tensor2D = ops.argMax(matrix);
  // @ts-expect-error: stacking adds an axis
  const stacked: Tensor1D = ops.stack([vector, vector]);
  // @ts-expect-error: taking apart removes an axis
  const apart: Tensor2D[] = ops.unstack(matrix);
  // @ts-expect-error: joining keeps the axes
  const joined: Tensor3D = ops.concat([matrix, matrix]);
  // @ts-expect-error: a new axis makes three of two
  const expanded: Tensor2D = ops.expandDims(matrix);
  // @ts-expect-error: one of three axes is squeezed away
  const squeezed: Tensor3D = ops.squeeze(cube, [1]);
  // @ts-expect-error: positions to gather are a vector
  ops.gather(matrix, matrix);
  // @ts-expect-error: class numbers are a vector
  ops.oneHot(matrix, 10);
  // @ts-expect-error: a matrix is no batch of images
  ops.conv2d(matrix, plain);
  // @ts-expect-error: a window needs a size
  ops.maxPool(rgb, {});
  // @ts-expect-error: paddings have other names
  ops.conv2d(rgb, plain, { padding: "full" });
  // @ts-expect-error: pooling has no dilation
  ops.avgPool(rgb, { kernelSize: 2, dilation: 2 });
  // @ts-expect-error: scale and offset have one number for each channel
  ops.batchNormTraining(rgb, matrix, vector, 1e-5);
  // @ts-expect-error: logits are a matrix
  ops.softmaxCrossEntropy(vector, vector);

  // @ts-expect-error: images with 3 channels are not images with 64
  const channels: Images<64> = rgb;
  // @ts-expect-error: 10 features are not 5
  const count: Features<5> = features;
  // @ts-expect-error: the channels 3 and 64 cannot be added
  ops.add(rgb, maps);
  // @ts-expect-error: pooling keeps the channels
  const pooled: Images<64> = ops.maxPool(rgb, { kernelSize: 2 });
  // @ts-expect-error: relu keeps the channels
  const activated: Images<64> = ops.relu(rgb);
  // @ts-expect-error: one channel is broadcast to 64, not 3
  const widened: Images<3> = ops.mul(grey, maps);
  // @ts-expect-error: resizing keeps the channels
  const resized: Images<1> = ops.resizeBilinear(rgb, [8, 8]);
  // @ts-expect-error: a choice between 3 and 64 channels does not fit
  ops.where(ops.greater(rgb, 0), rgb, maps);

  // @ts-expect-error: a tensor has no chained methods, whose results could be called anything
  rgb.relu();
  // @ts-expect-error: the same for reductions
  matrix.mean();
  // @ts-expect-error: an operation gives a tensor, not a variable
  const next: Variable2D = ops.neg(weights);
  // @ts-expect-error: a tensor cannot be assigned to
  matrix.assign(matrix);
  // @ts-expect-error: a variable keeps its rank
  weights.assign(vector);
  // @ts-expect-error: gradients are taken by variables, not tensors
  valueAndGradients(() => ops.sum(matrix), [matrix]);
  // @ts-expect-error: the function to descend gives one number
  valueAndGradients(() => matrix, [weights]);
  // @ts-expect-error: a gradient has the axes of its input
  const gradient: Tensor1D = grad((x: Tensor2D) => ops.sum(x))(matrix);
  // @ts-expect-error: the function takes a matrix
  grad((x: Tensor2D) => ops.sum(x))(vector);
  // @ts-expect-error: what is tidied is synchronous
  tidy(async () => await vector);
  // @ts-expect-error: a backend has a name
  withBackend(1, () => {});

  void [
    rank1,
    shaped,
    made,
    reshaped,
    sum,
    broadcast,
    product,
    means,
    kept,
    total,
    positions,
    stacked,
    apart,
    joined,
    expanded,
    squeezed,
    channels,
    count,
    pooled,
    activated,
    widened,
    resized,
    next,
    gradient,
  ];
}

/** What follows from the arguments; compiled only. */
export function known(): void {
  is<ReturnType<typeof ops.scalar>, Scalar>(true);
  const images: Images<3> = plain;
  const again: Images<64> = unknown;
  const sum: Images<64> = ops.add(maps, vector);
  const scaled: Features<10> = ops.mul(features, 2);
  const normalized: Images<3> = ops.batchNormTraining(rgb, vector, vector, 1e-5).y;
  const shown: Scalar = ops.mean(plain);
  const pixels: Tensor4D = ops.tensor(new Uint8Array(4), [1, 2, 2, 1]);
  const nested: Tensor3D = ops.tensor([[[1]]]);
  const rows: Tensor1D[] = ops.unstack(matrix);
  const { gradients: [dWeights, dBias] } = valueAndGradients(
    () => ops.sum(weights),
    [weights, variable(ops.zeros([3]))],
  );
  const [matrixLike, vectorLike]: [Tensor2D, Tensor1D] = [dWeights, dBias];
  const result = tidy(() => ops.batchNormTraining(features, vector, vector, 1));
  const tidied: Features<10> = result.y;
  const disposable: Disposable = rgb;
  // Where the type does not know the rank, neither does the result.
  is<typeof any, ReturnType<typeof ops.sum<Rank, number[]>>>(true);
  void [images, again, sum, scaled, normalized, shown, pixels, nested, rows];
  void [matrixLike, vectorLike, tidied, disposable];
}

Deno.test("wrong ranks, channels and dtypes do not compile", () => {
  // That this file compiles is the test: the checker reports a directive above a line that has no
  // error.
});
