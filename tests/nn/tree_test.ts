/** What belongs to a model: what the tree reaches is trained and saved, and all else is refused. */
import assert from "node:assert/strict";
import {
  adam,
  type AnyModule,
  BatchNorm,
  batchNorm,
  captureActivations,
  compile,
  crossEntropy,
  dropout,
  evaluate,
  type Features,
  fit,
  foldBatchNorm,
  gradCam,
  ImageDataset,
  linear,
  loadStateDict,
  Module,
  onForward,
  ops,
  relu,
  residual,
  resnet,
  Sequential,
  sequential,
  stateDict,
  summary,
  type Tensor,
  tidy,
  valueAndGradients,
  variable,
} from "resnet-lab";
import { assertNoLeak, testOnEachBackend } from "../_helpers.ts";

type X = Features<4>;

/** A model with a part that the tree reaches, whose forward also runs what `aside` gives. */
abstract class Two extends Module<X, Features> {
  readonly out = linear(4, 2);
  abstract get other(): Module<X, X>;
  override forward(x: X, options?: { training?: boolean }): Features {
    return tidy(() => this.out.forward(this.other.forward(x, options)));
  }
}
const four = () => linear(4, 4);
const closed = four();

class InPrivate extends Two {
  readonly #other = four();
  override get other() {
    return this.#other;
  }
}
class InAccessor extends Two {
  static shared = four();
  override get other() {
    return InAccessor.shared;
  }
}
class InClosure extends Two {
  override get other() {
    return closed;
  }
}
class MadeAnew extends Two {
  override get other() {
    return four();
  }
}
class InWeakMap extends Two {
  readonly map = new WeakMap<object, Module<X, X>>([[this.out, four()]]);
  override get other() {
    return this.map.get(this.out)!;
  }
}
class InFunction extends Two {
  readonly get = ((part) => () => part)(four());
  override get other() {
    return this.get();
  }
}
class Deeper extends Two {
  readonly #block = sequential(relu(), residual(four()));
  override get other() {
    return this.#block as Module<X, X>;
  }
}

for (const Kind of [InPrivate, InAccessor, InClosure, MadeAnew, InWeakMap, InFunction, Deeper]) {
  testOnEachBackend(`forward refuses to run a module outside the tree: ${Kind.name}`, () => {
    const refusal = {
      name: "TypeError",
      message:
        `Running ${Kind.name}: each variable that it reads must be in its tree, found one of linear 4 → 4 outside it. ` +
        "It would be neither trained nor saved. Fields named with #, Maps, Sets, closures and static fields are not walked: " +
        "hold it in a field, an array or a plain object, and freeze it to keep its value.",
    };
    for (const training of [false, true]) {
      const model = new Kind();
      for (let time = 0; time < 2; time++) {
        assert.throws(() => model.forward(ops.ones([1, 4]), { training }), refusal);
      }
    }
    // The whole is refused as well where it is a part.
    assert.throws(() => sequential(new Kind()).forward(ops.ones([1, 4])), {
      name: "TypeError",
      message: /^Running sequential: .*found one of linear 4 → 4 outside it/,
    });
  });
}

Deno.test("summary, fit and others refuse a model that runs a module outside its tree", async () => {
  const images = new ImageDataset({
    name: "two",
    pixels: new Uint8Array(8),
    labels: Uint8Array.of(0, 1),
    height: 2,
    width: 2,
    channels: 1,
    classes: 2,
    classNames: ["a", "b"],
  });
  class Classify extends Module<Tensor, Features<2>> {
    readonly #hidden = linear(4, 4);
    readonly out = linear(4, 2);
    override forward(x: Tensor) {
      return tidy(() => this.out.forward(this.#hidden.forward(ops.reshape(x, [-1, 4]) as X)));
    }
  }
  const refusal = { name: "TypeError", message: /Running Classify: .* must be in its tree/ };
  const input = ops.ones([1, 2, 2, 1]);
  const calls: ((model: Classify) => unknown)[] = [
    (model) => summary(model, [2, 2, 1]),
    (model) => onForward(model, input, () => {}),
    (model) => captureActivations(model, input),
    (model) => foldBatchNorm(model, [2, 2, 1]),
    (model) => compile((x: Tensor) => model.forward(x))(input),
    (model) => valueAndGradients(() => ops.sum(model.forward(input)), model.parameters()),
  ];
  for (const call of calls) assert.throws(() => call(new Classify()), refusal);
  await assert.rejects(() => evaluate(new Classify() as never, images), refusal);
  for (const compile of [false, true]) {
    const model = new Classify();
    const before = model.out.weight.arraySync();
    using optimizer = adam(model.parameters(), { learningRate: 0.1 });
    await assert.rejects(async () => {
      const options = { optimizer, epochs: 1, batchSize: 2, seed: 1, compile };
      for await (const _ of fit(model as never, images, options)) { /* to its end */ }
    }, refusal);
    assert.deepEqual(model.out.weight.arraySync(), before);
  }
});

Deno.test("forward refuses to read a variable outside the tree", () => {
  class Scaled extends Module<X, X> {
    readonly #gain = variable(ops.ones([4]));
    override forward(x: X): X {
      return ops.mul(x, this.#gain);
    }
  }
  assert.throws(() => new Scaled().forward(ops.ones([1, 4])), {
    name: "TypeError",
    message:
      /^Running Scaled: each variable .* found one with the shape \[4\] outside it\. It would be neither/,
  });
});

Deno.test("forward as a field is guarded after the tree was walked", () => {
  class Arrow extends Module<X, X> {
    readonly #other = four();
    override forward = (x: X): X => this.#other.forward(x);
  }
  const model = new Arrow();
  assert.deepEqual(model.parameters(), []);
  assert.throws(() => model.forward(ops.ones([1, 4])), /Running Arrow: .* must be in its tree/);
});

Deno.test("forward refuses in training a part that runs in training only", () => {
  class Auxiliary extends Module<X, X> {
    readonly #head = four();
    readonly body = four();
    override forward(x: X, { training = false } = {}): X {
      return tidy(() => training ? this.#head.forward(this.body.forward(x)) : this.body.forward(x));
    }
  }
  const model = new Auxiliary();
  model.forward(ops.ones([1, 4]));
  assert.throws(() => model.forward(ops.ones([1, 4]), { training: true }), /must be in its tree/);
});

class Holder extends Module<X, X> {
  constructor(readonly held: unknown) {
    super();
  }
  override forward(x: X): X {
    return ops.relu(x);
  }
}
/** Runs what it holds. */
class Chain extends Module<X, X> {
  constructor(readonly held: { readonly a: readonly Module<X, X>[] }) {
    super();
  }
  override forward(x: X): X {
    return this.held.a.reduce((x, layer) => layer.forward(x), x);
  }
}
class Bag {
  constructor(readonly part: unknown) {}
}

Deno.test("namedModules() refuses modules and variables in containers that it does not walk", () => {
  const inSymbol = new Holder(undefined);
  Object.assign(inSymbol, { [Symbol("head")]: four() });
  const notEnumerable = new Holder(undefined);
  Object.defineProperty(notEnumerable, "head", { value: four(), enumerable: false });
  const cases: [AnyModule, string, string][] = [
    [new Holder(new Map([["a", four()]])), "a Map", "held"],
    [new Holder(new Map([[four(), "a"]])), "a Map", "held"],
    [new Holder({ heads: [new Map([["a", [four()]]])] }), "a Map", "held.heads.0"],
    [new Holder(new Set([four()])), "a Set", "held"],
    [new Holder(new Map([["gain", variable(ops.ones([1]))]])), "a Map", "held"],
    [new Holder(new Bag(four())), "a Bag", "held"],
    [new Holder([new Bag({ deep: four() })]), "a Bag", "held.0"],
    [inSymbol, "the field Symbol(head)", ""],
    [notEnumerable, "the field head", ""],
  ];
  for (const [model, container, place] of cases) {
    for (const whole of [model, sequential(relu(), model)]) {
      const refusal = { name: "TypeError", message: /must be in fields, arrays or plain objects/ };
      assert.throws(() => whole.namedModules(), refusal);
      assert.throws(() => whole.namedVariables(), refusal);
      assert.throws(() => whole.parameters(), refusal);
      assert.throws(() => whole.freeze(), refusal);
      assert.throws(() => (whole as Holder).forward(ops.ones([1, 4])), refusal);
      assert.throws(() => summary(whole, [4]), refusal);
      assert.match(String(whole), /Holder/);
    }
    const at = place === "" ? "" : ` at ${place}`;
    assert.throws(
      () => model.parameters(),
      (error: Error) => error.message.includes(`in ${container}${at}, where it is neither trained`),
      `${container} ${place}`,
    );
    model.dispose(); // Which does not throw, as it may be in a finally.
  }
});

Deno.test("namedModules() accepts in any container a module that it reaches another way", () => {
  class Indexed extends Module<X, X> {
    readonly layers = [four(), four()];
    readonly byName = new Map(this.layers.map((layer, i) => [`layer${i}`, layer]));
    readonly #first = this.layers[0]!;
    override forward(x: X): X {
      return tidy(() => this.byName.get("layer1")!.forward(this.#first.forward(x)));
    }
  }
  const model = new Indexed();
  assert.deepEqual(model.forward(ops.ones([1, 4])).shape, [1, 4]);
  assert.equal(model.parameters().length, 4);
});

Deno.test("namedModules() walks records without a prototype and of another realm, and ends at cycles", () => {
  const record = Object.assign(Object.create(null), { a: four() });
  assert.deepEqual([...new Holder(record).children().keys()], ["held.a"]);
  const grouped = Object.groupBy([four(), four()], (_, i) => `branch${i}`);
  assert.deepEqual([...new Holder(grouped).children().keys()], [
    "held.branch0.0",
    "held.branch1.0",
  ]);
  const cyclic: { self?: unknown; part: AnyModule } = { part: four() };
  cyclic.self = [cyclic];
  assert.deepEqual([...new Holder(cyclic).namedParameters().keys()], [
    "held.part.weight",
    "held.part.bias",
  ]);
  const loop = new Holder([]);
  (loop.held as unknown[]).push(loop);
  assert.equal(String(loop), "Holder\n  (held.0) Holder, which contains itself");
});

Deno.test("children() of a subclass of Sequential includes its fields", () => {
  class Headed extends Sequential<[AnyModule], X, Features> {
    readonly head = linear(4, 2);
    override forward(x: X): Features {
      return tidy(() => this.head.forward(super.forward(x) as X));
    }
  }
  const model = new Headed([four()]);
  assert.deepEqual([...model.namedParameters().keys()], [
    "0.weight",
    "0.bias",
    "head.weight",
    "head.bias",
  ]);
  assert.deepEqual(model.forward(ops.ones([1, 4])).shape, [1, 2]);
});

Deno.test("forward accepts layers without variables made in forward, lazy parts, ties, a teacher in the loss, a probe", () => {
  class Fresh extends Module<X, X> {
    lazy?: Module<X, X>;
    override forward(x: X, options?: { training?: boolean }): X {
      this.lazy ??= four();
      return tidy(() => dropout(0.1).forward(relu().forward(this.lazy!.forward(x)), options));
    }
  }
  const fresh = new Fresh();
  fresh.forward(ops.ones([1, 4]), { training: true });
  assert.deepEqual([...fresh.namedParameters().keys()], ["lazy.weight", "lazy.bias"]);

  class Decoder extends Module<X, X> {
    readonly #weight: () => Tensor;
    constructor(weight: () => Tensor) {
      super();
      this.#weight = weight;
    }
    override forward(x: X): X {
      return ops.matMul(x, this.#weight() as X);
    }
  }
  class Autoencoder extends Module<X, X> {
    readonly encoder = four();
    readonly decoder = new Decoder(() => this.encoder.weight);
    override forward(x: X): X {
      return tidy(() => this.decoder.forward(this.encoder.forward(x)));
    }
  }
  const tied = new Autoencoder();
  tied.forward(ops.ones([1, 4]));
  tied.decoder.forward(ops.ones([1, 4])); // A part of a model that was found to be whole.

  const teacher = four(), student = four(), x: X = ops.ones([1, 4]);
  valueAndGradients(
    () => ops.sum(ops.square(ops.sub(student.forward(x), teacher.forward(x)))),
    student.parameters(),
  );
  const probe = four();
  let probed = 0;
  onForward(sequential(relu(), four()), x, ({ path, output }) => {
    if (path === "0") probed += probe.forward(output as X).size;
  });
  assert.equal(probed, 4);

  class Extractor extends Module<X, X> {
    readonly backbone = four();
    readonly head = four();
    override forward(x: X): X {
      return tidy(() => this.head.forward(this.backbone.forward(x)));
    }
  }
  const extractor = new Extractor();
  extractor.freeze("backbone");
  extractor.forward(x);
  assert.equal(extractor.parameters().length, 2);
});

testOnEachBackend(
  "forward leaves no tensor after its check, and foldBatchNorm() and gradCam() run",
  async () => {
    const model = resnet({ block: "basic", stages: [1], stem: "cifar", channels: 4, classes: 2 });
    const x = ops.ones([1, 8, 8, 3]);
    await assertNoLeak(() => tidy(() => void model.forward(x)));
    await assertNoLeak(
      () => void assert.throws(() => new InClosure().forward(ops.ones([1, 4]))),
      3,
    );
    gradCam(model, "layer1", x, 0).dispose();
    foldBatchNorm(model, [8, 8, 3]);
    model.forward(x).dispose();
  },
);

Deno.test("forward refuses options that do not exist or are of another kind at every level", () => {
  const model = sequential(batchNorm(4), dropout(0.5));
  class Inside extends Module<X, Tensor> {
    readonly norm = batchNorm(4);
    override forward(x: X): Tensor {
      return this.norm.forward(x, { trainig: true } as object);
    }
  }
  const x = ops.ones([2, 4]);
  assert.throws(() => model.forward(x, { trainig: true } as object), {
    name: "TypeError",
    message:
      "Running sequential: there is no option trainig. Did you mean training? The options are training.",
  });
  assert.throws(
    () => new Inside().forward(x),
    /Running batchNorm 4: there is no option trainig/,
  );
  assert.throws(() => model.forward(x, true as never), {
    name: "TypeError",
    message:
      "Running sequential: the options must be an object such as { training: true }, found true.",
  });
  for (const training of ["false", 0, null]) {
    assert.throws(() => model.forward(x, { training } as never), {
      name: "TypeError",
      message: `Running sequential: training must be true or false, found ${
        JSON.stringify(training)
      }.`,
    });
  }
  // Also a layer that has none.
  assert.throws(
    () => (relu() as Module<Tensor>).forward(x, { inplace: true } as object),
    TypeError,
  );
  assert.throws(() => (linear(4, 4) as Module<X>).forward(x, { training: 1 } as never), TypeError);
});

testOnEachBackend(
  "dispose() makes a model and its parts refuse to run, and can be called twice",
  () => {
    const model = sequential(linear(4, 4), relu(), batchNorm(4));
    const x: X = ops.ones([2, 4]);
    model.forward(x);
    model.layers[2].dispose();
    model.layers[2].dispose();
    const part = {
      name: "TypeError",
      message: /^batchNorm 4: the module must be alive, found it disposed\. Make it again\.$/,
    };
    for (const training of [false, true]) {
      assert.throws(() => model.forward(x, { training }), part);
    }
    assert.throws(() => model.parameters(), {
      name: "TypeError",
      message:
        "Listing the parameters of sequential: 2.weight must be alive, found it disposed. Make the model again.",
    });
    model.dispose();
    model.dispose();
    assert.throws(() => model.forward(x), {
      name: "TypeError",
      message: "sequential: the module must be alive, found it disposed. Make it again.",
    });
    for (const call of [() => model.parameters(), () => model.namedParameters()]) {
      assert.throws(call, /Listing the parameters of sequential: 0\.weight must be alive/);
    }
    assert.throws(() => summary(model, [4]), TypeError);
    assert.throws(() => gradCam(model as never, "0", x as never, 0), TypeError);
  },
);

Deno.test("namedVariables() lists all that the tree reaches", () => {
  const model = new Holder({ a: [four()] });
  assert.deepEqual([...model.namedVariables().keys()], ["held.a.0.weight", "held.a.0.bias"]);
  const chain = new Chain({ a: [four()] }), shape = { inputShape: [4] };
  assert.deepEqual([...stateDict(chain, shape).keys()], ["held.a.0.weight", "held.a.0.bias"]);
  // A model that has run needs no shape.
  chain.forward(ops.ones([1, 4]));
  loadStateDict(chain, stateDict(chain));
  assert(!(model.children().get("held.a.0") instanceof BatchNorm));
  crossEntropy(ops.ones([1, 2]), ops.tensor([0], [1], "int32"));
});

Deno.test("forward of a user's class may take other options", () => {
  class Scaled extends Module<X, X> {
    override forward(x: X, options?: { training?: boolean; scale?: number }): X {
      return ops.mul(x, options?.scale ?? 1);
    }
  }
  class Masked extends Module<X, X> {
    override forward(x: X, mask?: object): X {
      return mask instanceof Object ? ops.mul(x, mask as X) : x;
    }
  }
  const x: X = ops.ones([1, 4]);
  assert.equal(new Scaled().forward(x, { scale: 2 }).dataSync()[0], 2);
  assert.equal(new Masked().forward(x, ops.zeros([1, 4])).dataSync()[0], 0);
  assert.throws(() => new Scaled().forward(x, { trainig: true } as object), {
    name: "TypeError",
    message: "Running Scaled: there is no option trainig. Did you mean training?",
  });
});
