/** The library frees tensors that nothing can reach any more, and no others. */
import assert from "node:assert/strict";
import { createRequire } from "node:module";
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";
import {
  adam,
  backend,
  batchNorm,
  compile,
  conv2d,
  crossEntropy,
  flatten,
  type Images,
  linear,
  memory,
  Module,
  ops,
  relu,
  sequential,
  type Tensor,
  type Tensor1D,
  tidy,
  useBackend,
  valueAndGradients,
  variable,
  withPrecision,
} from "resnet-lab";
import { collectGarbage, testOnEachBackend } from "../_helpers.ts";
import { keep } from "../../lib/tensor/internal.ts";

const native = { ignore: backend() !== "tensorflow" };

/** Runs `work`, collects garbage, and asserts how many more tensors there are. */
async function assertLeft(work: () => unknown, left = 0): Promise<void> {
  await collectGarbage();
  const before = memory();
  await work();
  await collectGarbage();
  assert.equal(memory().tensors - before.tensors, left, "tensors left");
  if (left === 0) assert.equal(memory().bytes, before.bytes, "bytes left");
}

function tinyModel() {
  return sequential(
    conv2d(1, 4, { kernelSize: 3, useBias: false }),
    batchNorm(4),
    relu(),
    flatten(),
    linear(64, 3),
  );
}

function trainOnce(model: ReturnType<typeof tinyModel>) {
  const optimizer = adam(model.parameters(), { learningRate: 0.01 });
  for (let i = 0; i < 2; i++) {
    tidy(() => {
      const images = ops.ones([2, 6, 6, 1]), labels = ops.tensor([0, 1], [2], "int32");
      const { gradients } = valueAndGradients(
        () => crossEntropy(model.forward(images, { training: true }), labels),
        optimizer.parameters,
      );
      optimizer.step(gradients);
    });
  }
  return optimizer;
}

testOnEachBackend(
  "sequential() and adam(): an unreachable model and its optimizer are freed",
  () =>
    assertLeft(() => {
      const model = tinyModel();
      trainOnce(model);
      model.forward(ops.ones([1, 6, 6, 1]));
    }),
);

testOnEachBackend(
  "sequential() and adam(): a reachable model and its optimizer keep their memory",
  async () => {
    const model = tinyModel();
    const optimizer = trainOnce(model);
    const x = ops.ones([1, 6, 6, 1]);
    const before = [...model.forward(x).dataSync()];
    await collectGarbage();
    trainOnce(tinyModel());
    await collectGarbage();
    assert.deepEqual([...model.forward(x).dataSync()], before);
    const { gradients } = valueAndGradients(
      () => ops.sum(model.forward(x)),
      model.parameters(),
    );
    optimizer.step(gradients);
    optimizer.dispose();
    model.dispose();
  },
);

testOnEachBackend(
  "ops.ones(), keep() and assign() make tensors that are freed when unreachable",
  () =>
    assertLeft(() => {
      ops.add(ops.ones([100]), ops.tensor([1]));
      tidy(() => void keep(ops.ones([50])));
      tidy(() => ({ parts: [ops.ones([2])] }));
      const w = variable(ops.ones([3]));
      w.assign(ops.zeros([3]));
      w.assign(ops.ones([3]));
    }),
);

testOnEachBackend(
  "reshape(), clone(), cast() and variable() keep the data of an unreachable tensor",
  async () => {
    const share = (make: (x: Tensor) => Tensor) => make(ops.tensor([1, 2, 3, 4]));
    const shares = [
      share((x) => ops.reshape(x, [2, 2])),
      share((x) => ops.clone(x)),
      share((x) => tidy(() => ops.reshape(ops.clone(x), [4, 1]))),
      share((x) => ops.cast(x, "float32")),
      share((x) => variable(x)),
      share((x) => {
        const w = variable(ops.zeros([4]));
        w.assign(x as Tensor1D);
        return w;
      }),
      share((x) => {
        const w = variable(ops.clone(x));
        const y = ops.clone(w);
        w.dispose();
        return y;
      }),
    ];
    await collectGarbage();
    for (const y of shares) assert.deepEqual([...y.dataSync()], [1, 2, 3, 4]);
  },
);

testOnEachBackend(
  "variable() shares data with a clone, and dispose() called again frees nothing more",
  async () => {
    const x = ops.tensor([1, 2]);
    const w = variable(ops.clone(x));
    w.dispose();
    w.dispose();
    w.dispose();
    await collectGarbage();
    assert.deepEqual([...x.dataSync()], [1, 2]);
  },
);

testOnEachBackend(
  "dispose() by hand frees a tensor once, before garbage collection",
  () =>
    assertLeft(() => {
      const x = ops.tensor([1, 2]), y = ops.clone(x);
      y.dispose();
      const w = variable(ops.ones([2]));
      w.dispose();
      x.dispose();
    }),
);

testOnEachBackend(
  "valueAndGradients() leaves nothing once its gradients are unreachable, nor after an error",
  () =>
    assertLeft(() => {
      const w = variable(ops.tensor([2]));
      const first = () => valueAndGradients(() => ops.sum(ops.mul(w, w)), [w]).gradients[0];
      first();
      assert.throws(() => valueAndGradients(() => ops.sum(ops.ones([2])), [w]));
    }),
);

for (const other of ["wasm", "cpu"] as const) {
  Deno.test(
    `useBackend("${other}") moves tensors that are freed when unreachable`,
    native,
    () =>
      assertLeft(async () => {
        const x = ops.tensor([1, 2]), w = variable(ops.tensor([3, 4]));
        await useBackend(other, () => void ops.add(x, w).dataSync());
        assert.deepEqual([...ops.add(x, w).dataSync()], [4, 6]);
        await useBackend(other, () => void ops.add(x, w).dataSync());
      }),
  );
}

testOnEachBackend(
  "compile(): an unreachable function is freed with the tensors that only it holds",
  () =>
    assertLeft(() => {
      const w = variable(ops.tensor([2])), offset = ops.tensor([1]);
      const f = compile((x: Tensor1D) => ops.add(ops.mul(x, w), offset));
      for (let i = 0; i < 4; i++) f(ops.tensor([i]));
    }),
);

Deno.test(
  "compile() in a field of the model that it calls is freed with the model",
  native,
  () =>
    assertLeft(() => {
      class Fast extends Module<Tensor1D, Tensor1D> {
        readonly weight = variable(ops.ones([1]));
        readonly fast = compile((x: Tensor1D) => this.forward(x));
        override forward(x: Tensor1D) {
          return ops.mul(x, this.weight);
        }
      }
      const model = new Fast();
      for (let i = 0; i < 4; i++) model.fast(ops.tensor([i]));
    }),
);

testOnEachBackend("compile(): a reachable function keeps the tensors that it uses", async () => {
  const make = () => {
    const w = variable(ops.tensor([2])), offset = ops.tensor([1]);
    const cut = ops.reshape(offset, [1, 1]);
    return compile((x: Tensor1D) => ops.add(ops.mul(x, w), ops.reshape(cut, [1])));
  };
  const f = make();
  for (let i = 0; i < 5; i++) {
    using x = ops.tensor([i]), y = f(x);
    assert.equal(y.dataSync()[0], 2 * i + 1);
    await collectGarbage();
  }
});

Deno.test("compile() frees the session of each graph with it", native, async () => {
  const path = fileURLToPath(new URL("../../.venv/tfjs_binding.node", import.meta.url));
  assert(existsSync(path));
  const binding = createRequire(import.meta.url)(path);
  const sessions = (): number => binding.getNumOfSavedModels();
  await collectGarbage();
  const before = sessions();
  const use = () => {
    const f = compile((x: Tensor1D) => ops.neg(x));
    for (let size = 1; size <= 20; size++) {
      for (let i = 0; i < 3; i++) tidy(() => void f(ops.ones([size])));
    }
    assert.equal(sessions() - before, 16);
    return f;
  };
  use();
  await collectGarbage();
  assert.equal(sessions(), before);
  use()[Symbol.dispose]();
  assert.equal(sessions(), before);
});

Deno.test(
  "withPrecision() and batchNorm() leave nothing: bfloat16 copies and deferred outputs are freed",
  native,
  () =>
    assertLeft(() => {
      const model = tinyModel();
      withPrecision("bf16", () => model.forward(ops.ones([2, 6, 6, 1]), { training: true }));
      model.forward(ops.ones([2, 6, 6, 1]), { training: true });
      const layer = batchNorm(1);
      layer.forward(ops.ones([2, 3, 3, 1]) as Images<1>, { training: true });
    }),
);

Deno.test("memory() does not grow when a cell runs again and again", async () => {
  const program = `
    import { adam, memory, ops, variable } from "resnet-lab";
    let most = 0;
    for (let cell = 0; cell < 40; cell++) {
      adam([variable(ops.zeros([4, 1024, 1024]))], { learningRate: 1e-3 });
      most = Math.max(most, memory().bytes);
      await new Promise((done) => setTimeout(done, 1));
    }
    console.log(most / 2 ** 20);`;
  const file = await Deno.makeTempFile({ suffix: ".ts" });
  try {
    await Deno.writeTextFile(file, program);
    const config = fileURLToPath(new URL("../../deno.json", import.meta.url));
    for (
      const name of backend() === "tensorflow" ? ["tensorflow", "wasm"] as const : ["wasm"] as const
    ) {
      const { stdout, stderr } = await new Deno.Command(Deno.execPath(), {
        args: ["run", "-A", "--no-check", "--config", config, file],
        env: { NO_COLOR: "1", RESNET_LAB_BACKEND: name },
      }).output();
      const most = Number(new TextDecoder().decode(stdout));
      // 128 MiB a cell: 2,560 if none is freed.
      assert(
        most >= 128 && most < 1024,
        `${name}: ${most} MiB ${new TextDecoder().decode(stderr)}`,
      );
    }
  } finally {
    await Deno.remove(file);
  }
});
